/** The last scans of this till, each with its state; what is held can be captured or released, what was taken given back. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { money, moment, whole } from '../shared/format'
import { Icon, type IconName } from '../shared/parts/icon'
import { Empty, Notice, type Tone } from '../shared/parts/parts'
import { Sheet } from '../shared/parts/sheet'
import { attemptOf, attempts, type Attempt } from './journal'
import { partsOf, wantedLegs, type Part } from './parts_of_legs'
import { Stepper } from './stepper'
import { inEnglish, scanner } from './texts'
import { asking, refresh, step } from './till'

const LOOKS: Record<string, { icon: IconName; tone: Tone | '' }> = {
  sent: { icon: 'clock', tone: 'warn' }, unknown: { icon: 'question', tone: 'warn' }, refused: { icon: 'cross', tone: 'bad' },
  cancelled: { icon: 'undo', tone: '' }, held: { icon: 'lock', tone: 'info' }, captured: { icon: 'check', tone: 'good' },
  partially_refunded: { icon: 'undo', tone: 'good' }, refunded: { icon: 'undo', tone: '' }, voided: { icon: 'undo', tone: '' },
  expired: { icon: 'clock', tone: '' }, reversed: { icon: 'undo', tone: '' },
}

function stateOf(attempt: Attempt): string {
  return attempt.state === 'applied' ? (attempt.redemption?.status ?? 'captured') : attempt.state
}

function word(attempt: Attempt): string {
  const t = scanner()
  if (attempt.state === 'applied' && attempt.scan.legs.length === 0) return t.identifiedShort
  return attempt.state === 'applied' && attempt.redemption ? t.status[attempt.redemption.status] : t.state[attempt.state]
}

export function JournalView() {
  const t = scanner()
  const opened = useSignal<string | null>(null)
  if (attempts.value.length === 0) return <Empty icon="list" text={t.nothingYet} />
  return (
    <>
      <ul class="journal rows card">
        {attempts.value.map((attempt) => {
          const { icon, tone } = LOOKS[stateOf(attempt)] ?? LOOKS.sent!
          const { bill } = attempt.redemption ?? attempt.scan
          return (
            <li key={attempt.key}>
              <button type="button" class="entry" onClick={() => (opened.value = attempt.key)}>
                <Icon name={icon} size={22} />
                <span class="grow">
                  <span class="strong">{attempt.memberName}</span>
                  <span class="tiny soft"> {moment(new Date(attempt.at).toISOString())}{bill && ` · ${money(bill.amount_minor, bill.currency)}`}</span>
                </span>
                <span class={`chip ${tone}`}>{word(attempt)}</span>
              </button>
            </li>
          )
        })}
      </ul>
      {opened.value && <Details attemptKey={opened.value} onClose={() => (opened.value = null)} />}
    </>
  )
}

function Details({ attemptKey, onClose }: { attemptKey: string; onClose: () => void }) {
  const t = scanner()
  // Read through the signal, so that the sheet follows what becomes of it.
  const attempt = attempts.value.length > 0 ? attemptOf(attemptKey) : undefined
  const said = useSignal<string | null>(null)
  useEffect(() => {
    void refresh(attemptKey)
  }, [attemptKey])
  if (!attempt) return null
  const { redemption } = attempt
  async function take(wanted: Parameters<typeof step>[1]): Promise<void> {
    const found = await step(attemptKey, wanted)
    said.value = found === 'unreachable' ? t.unreachableStep : found
  }
  return (
    <Sheet title={`${attempt.memberName} · ${word(attempt)}`} onClose={onClose}>
      <div class="stack">
        <div role="alert">{said.value && <Notice tone="bad">{said.value}</Notice>}</div>
        {attempt.problem && attempt.state === 'refused' && <Notice tone="bad" title={attempt.problem.operator_hint}>{inEnglish(attempt.problem.detail)}</Notice>}
        {redemption?.bill && (
          <dl class="figures">
            <div><dt>{redemption.bill.reference}</dt><dd class="figure">{money(redemption.bill.amount_minor, redemption.bill.currency)}</dd></div>
            <div><dt>{t.saved}</dt><dd class="figure">{money(redemption.bill.discount_minor, redemption.bill.currency)}</dd></div>
            <div class="pay"><dt>{t.payable}</dt><dd class="figure">{money(redemption.bill.payable_minor, redemption.bill.currency)}</dd></div>
          </dl>
        )}
        {attempt.step ? (
          <>
            <Notice tone="warn">{t.openStep}</Notice>
            <button type="button" class="button large" disabled={asking.value} onClick={() => void take(null)}>
              <Icon name="refresh" />{t.askAgain}
            </button>
          </>
        ) : redemption?.status === 'held' ? (
          <Amounts parts={partsOf(redemption.legs, 'held')} all={t.captureAll} some={t.capture} onTake={(legs) => void take({ call: 'capture', body: legs ? { legs } : {} })}>
            <button type="button" class="button quiet large" disabled={asking.value} onClick={() => void take({ call: 'void', body: {} })}>{t.release}</button>
          </Amounts>
        ) : redemption && (redemption.status === 'captured' || redemption.status === 'partially_refunded') ? (
          <Amounts parts={partsOf(redemption.legs, 'captured')} all={t.refundAll} some={t.refund} onTake={(legs) => void take({ call: 'refund', body: legs ? { legs } : {} })} />
        ) : null}
        {redemption && <p class="tiny soft mono">{redemption.redemption_id}</p>}
      </div>
    </Sheet>
  )
}

function Amounts(props: {
  parts: Part[]
  all: string
  some: string
  onTake: (legs: ReturnType<typeof wantedLegs>) => void
  children?: preact.ComponentChildren
}) {
  const t = scanner()
  const chosen = useSignal(props.parts.map((each) => each.most))
  if (props.parts.length === 0) return <>{props.children}</>
  const whole_ = props.parts.every((each, index) => chosen.value[index] === each.most)
  const none = chosen.value.every((each) => each === 0)
  return (
    <>
      <p class="small strong">{t.part}</p>
      <ul class="card rows">
        {props.parts.map((part, index) => (
          <li key={part.name} class="offer">
            <span class="grow">{part.kind === 'points' ? t.points : part.kind === 'stored_value' ? t.storedValue : part.name} <span class="tiny soft">/ {whole(part.most)}</span></span>
            <Stepper label={part.name} value={chosen.value[index] ?? 0} most={part.most} by={part.kind === 'benefit' ? 1 : 100}
              onChange={(value) => (chosen.value = chosen.value.map((each, at) => (at === index ? value : each)))} />
          </li>
        ))}
      </ul>
      <div class="row">
        {props.children}
        <button type="button" class="button large grow" disabled={asking.value || none}
          onClick={() => props.onTake(whole_ ? undefined : wantedLegs(props.parts, chosen.value))}>
          {whole_ ? props.all : props.some}
        </button>
      </div>
    </>
  )
}
