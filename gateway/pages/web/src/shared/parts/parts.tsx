/** Small parts that all pages use. Their looks are in style/base.css. */
import type { ComponentChildren } from 'preact'

import { shared, tierClass, tierName } from '../texts'
import { Icon, type IconName } from './icon'

export type Tone = 'good' | 'warn' | 'bad' | 'info'
const TONE_ICONS: Record<Tone, IconName> = { good: 'check', warn: 'warning', bad: 'cross', info: 'info' }

/** A coloured note with an icon of its own shape: colour never tells alone. */
export function Notice({ tone, title, children }: { tone: Tone; title?: string | undefined; children?: ComponentChildren }) {
  return (
    <div class={`notice ${tone}`}>
      <Icon name={TONE_ICONS[tone]} size={20} />
      <div>
        {title && <strong>{title}</strong>}
        {children}
      </div>
    </div>
  )
}

export function TierChip({ tier, name }: { tier: string; name?: string }) {
  return <span class={`chip ${tierClass(tier)}`}>{name || tierName(tier)}</span>
}

export function Waiting({ text }: { text?: string }) {
  return (
    <div class="waiting" role="status">
      <div class="spinner" aria-hidden="true" />
      <p class="small">{text ?? shared().loading}</p>
    </div>
  )
}

export function Empty({ icon, text }: { icon: IconName; text: string }) {
  return (
    <div class="waiting">
      <Icon name={icon} size={36} />
      <p>{text}</p>
    </div>
  )
}

/** One of a few: a segmented control. */
export function Choice<T extends string>(props: {
  label: string
  options: readonly { value: T; text: string; lang?: string }[]
  chosen: T
  onChoose: (value: T) => void
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          lang={option.lang}
          aria-pressed={option.value === props.chosen}
          onClick={() => props.onChoose(option.value)}
        >
          {option.text}
        </button>
      ))}
    </div>
  )
}
