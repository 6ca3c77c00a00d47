/** A whole number between none and most, by buttons or typed. */
import { useId } from 'preact/hooks'

import { Icon } from '../../shared/parts/icon'
import { scanner } from '../texts'

export interface StepperProps {
  label: string
  value: number
  most: number
  by: number
  onChange: (value: number) => void
}

export function Stepper({ label, value, most, by, onChange }: StepperProps) {
  const t = scanner()
  const field = useId()
  const set = (wanted: number) => onChange(Math.min(most, Math.max(0, Math.floor(wanted) || 0)))
  return (
    <div class="stepper" role="group" aria-label={label}>
      <button type="button" class="icon-button" aria-label={`${t.fewer}: ${label}`} disabled={value <= 0} onClick={() => set(value - by)}>
        <Icon name="minus" />
      </button>
      <label class="unseen" for={field}>{label}</label>
      <input id={field} class="input figure" inputMode="numeric" autocomplete="off" maxLength={13} value={String(value)}
        onInput={(event) => set(Number(event.currentTarget.value.replace(/\D/g, '')))} />
      <button type="button" class="icon-button" aria-label={`${t.more}: ${label}`} disabled={value >= most} onClick={() => set(value + by)}>
        <Icon name="plus" />
      </button>
    </div>
  )
}
