/** The bill on one side, the code on the other. Bursts of a scanner and figures of a keyboard come by page.tsx. */
import { useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'

import { grouped, money } from '../shared/format'
import { AMOUNT_MINOR_MAX, BILL_REFERENCE_CHARACTERS_MAX, CODE_DIGITS } from '../shared/limits'
import { Icon } from '../shared/parts/icon'
import { Notice, Waiting } from '../shared/parts/parts'
import { shared } from '../shared/texts'
import { Stay } from './basket/basket_view'
import { parts } from './basket/bill_parts'
import { BillParts } from './basket/bill_parts_view'
import { inEnglish, scanner } from './texts'
import { billMinor, currency, notTaken, reference, scanned, swallowed, terminal } from './till'

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '00', '0'] as const

function press(key: string): void {
  const next = Number(`${billMinor.peek()}${key}`)
  if (next <= AMOUNT_MINOR_MAX) billMinor.value = next
}

function backspace(): void {
  billMinor.value = Math.floor(billMinor.peek() / 10)
}

function clear(): void {
  billMinor.value = 0
  parts.value = []
}

/** A key that a person pressed outside of fields: figures are the bill. */
export function pressed(key: string): void {
  if (/^\d$/.test(key)) press(key)
  else if (key === 'Backspace') backspace()
}

/** Remembers the bill as it is; what it returns brings it back. */
export function marked(): () => void {
  const before = billMinor.peek()
  return () => (billMinor.value = before)
}

export function ReadyView() {
  return (
    <div class="ready">
      <BillEntry />
      <CodeEntry />
    </div>
  )
}

function BillEntry() {
  const t = scanner()
  const field = useId()
  return (
    <section class="bill-entry card" aria-label={t.bill}>
      <p class="bill-label">{billMinor.value === 0 ? t.noBill : t.bill}</p>
      <output class={`bill-figure figure ${billMinor.value === 0 ? 'soft' : ''}`} aria-live="polite" data-testid="bill">
        {money(billMinor.value, currency.value)}
      </output>
      <div class="keypad">
        {KEYS.map((key) => (
          <button key={key} type="button" class="key" onClick={() => press(key)}>{key}</button>
        ))}
        <button type="button" class="key" aria-label={t.backspace} onClick={backspace}><Icon name="undo" /></button>
      </div>
      <BillParts />
      <div class="row">
        <div class="field grow">
          <label for={field} class="unseen">{t.reference}</label>
          <input id={field} class="input" maxLength={BILL_REFERENCE_CHARACTERS_MAX} autocomplete="off" spellcheck={false} placeholder={`${t.reference} · ${t.referenceHint}`}
            pattern="[!-~]+( [!-~]+)*" value={reference.value} onInput={(event) => (reference.value = event.currentTarget.value.trim())} />
        </div>
        <button type="button" class="button quiet" disabled={billMinor.value === 0} onClick={clear}>{t.clear}</button>
      </div>
      {(terminal.value?.counts_stays || terminal.value?.categories?.includes('room')) && <Stay />}
    </section>
  )
}

function CodeEntry() {
  const t = scanner()
  const way = useSignal<'wedge' | 'camera' | 'digits'>('wedge')
  const fault = notTaken.value
  return (
    <section class="code-entry" aria-label={t.scanNow}>
      <div role="alert">
        {fault === 'unreachable' && <Notice tone="warn" title={shared().offline}>{t.notReached}</Notice>}
        {swallowed.value && <Notice tone="warn" title={t.inputMethodOn}>{t.inputMethodOff}</Notice>}
        {fault !== null && fault !== 'unreachable' && <Notice tone="bad" title={fault.operator_hint}>{inEnglish(fault.detail)}</Notice>}
      </div>
      {way.value === 'camera' ? (
        <CameraWhenLoaded onClose={() => (way.value = 'wedge')} />
      ) : way.value === 'digits' ? (
        <Digits onClose={() => (way.value = 'wedge')} />
      ) : (
        <div class="scan-target">
          <span class="scan-mark"><Icon name="scan" size={72} /></span>
          <h1>{t.scanNow}</h1>
          <p class="soft">{t.scanHint}</p>
          <p class="chip good"><span class="dot" />{t.reading}</p>
        </div>
      )}
      {way.value === 'wedge' && (
        <div class="ways">
          <button type="button" class="button quiet large" onClick={() => (way.value = 'camera')}><Icon name="camera" />{t.useCamera}</button>
          <button type="button" class="button quiet large" onClick={() => (way.value = 'digits')}><Icon name="keyboard" />{t.typeDigits}</button>
        </div>
      )}
    </section>
  )
}

/** The camera's code and decoder are fetched only by those who use it. */
function CameraWhenLoaded({ onClose }: { onClose: () => void }) {
  const view = useSignal<typeof import('./camera_view') | null>(null)
  const failed = useSignal(false)
  useEffect(() => {
    import('./camera_view').then((loaded) => (view.value = loaded), () => (failed.value = true))
  }, [])
  if (failed.value) return <Notice tone="warn">{shared().unreachable}</Notice>
  if (!view.value) return <Waiting />
  const { CameraView } = view.value
  return <CameraView onClose={onClose} onCode={(text) => void scanned(text)} />
}

function Digits({ onClose }: { onClose: () => void }) {
  const t = scanner()
  const typed = useSignal('')
  const field = useId()
  const short = typed.value.length > 0 && typed.value.length < 18
  return (
    <form
      class="card padded stack"
      onSubmit={(event) => {
        event.preventDefault()
        if (typed.value.length === CODE_DIGITS) void scanned(typed.value)
      }}
    >
      <div class="field">
        <label for={field}>{t.digits}</label>
        <input id={field} class="input digits-input mono" inputMode="numeric" autocomplete="off" autofocus maxLength={24} data-typed
          value={grouped(typed.value)} aria-describedby={`${field}-hint`} aria-invalid={false}
          onInput={(event) => (typed.value = event.currentTarget.value.replace(/\D/g, '').slice(0, 18))} />
        <span class="hint" id={`${field}-hint`}>{short ? t.digitsShort : ' '}</span>
      </div>
      <div class="row">
        <button type="button" class="button quiet" onClick={onClose}>{t.back}</button>
        <button class="button large grow" disabled={typed.value.length !== CODE_DIGITS}>{t.go}</button>
      </div>
    </form>
  )
}
