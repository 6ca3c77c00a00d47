/** One redemption, whatever till made it: what it took, and capture, void or refund of it. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { money, moment, named, whole } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { Notice, Waiting } from '../shared/parts/parts'
import { Sheet } from '../shared/parts/sheet'
import { shared } from '../shared/texts'
import { steps, type Step } from './journal'
import { changed, group, readOne } from './lists'
import { outletName, statusWord } from './lists_view'
import { partsOf, wantedLegs, type Part } from './basket/parts_of_legs'
import { Stepper } from './basket/stepper'
import { scanner } from './texts'
import { asking, currency, step, terminal } from './till'
import type { Leg, Redemption } from './types'
import { momentAt } from './zone'

type Known = Pick<Redemption, 'redemption_id' | 'member'> & Partial<Redemption>

export function RedemptionSheet({ of, onClose }: { of: Known; onClose: () => void }) {
  const t = scanner()
  const redemption = useSignal<Redemption | null>(of.status ? (of as Redemption) : null)
  const said = useSignal<string | null>(null)
  const open = steps.value.find((each) => each.redemptionId === of.redemption_id)

  async function read(): Promise<void> {
    const found = await readOne(of.redemption_id)
    if (found) redemption.value = { ...redemption.peek(), ...found }
    else if (!redemption.peek()) said.value = shared().unreachable
  }
  useEffect(() => {
    void read()
  }, [of.redemption_id])

  async function take(wanted: Pick<Step, 'call' | 'body'> | null): Promise<void> {
    const result = await step(of, wanted).catch(() => ({ refused: t.storageFull }))
    said.value = result === 'unreachable' ? t.unreachableStep : result && 'refused' in result ? result.refused : null
    if (result !== null && result !== 'unreachable' && 'redemption' in result) {
      redemption.value = { ...redemption.peek(), ...result.redemption }
      changed(result.redemption)
    } else await read()
  }

  const now = redemption.value
  const title = now ? `${of.member.display_name} · ${statusWord(now)}` : of.member.display_name
  return (
    <Sheet title={title} onClose={onClose}>
      <div class="stack">
        <div role="alert">{said.value && <Notice tone="bad">{said.value}</Notice>}</div>
        {now ? <Facts redemption={now} /> : !said.value && <Waiting />}
        {open ? (
          <>
            <Notice tone="warn">{t.openStep}</Notice>
            <button type="button" class="button large" disabled={asking.value} onClick={() => void take(null)}>
              <Icon name="refresh" />{t.askAgain}
            </button>
          </>
        ) : now?.status === 'held' ? (
          <Capture key={now.status} redemption={now} onTake={(legs) => void take({ call: 'capture', body: legs ? { legs } : {} })}
            onVoid={() => void take({ call: 'void', body: {} })} />
        ) : now && (now.status === 'captured' || now.status === 'partially_refunded') ? (
          <Refund key={JSON.stringify(now.legs)} redemption={now} onTake={(legs) => void take({ call: 'refund', body: legs ? { legs } : {} })} />
        ) : null}
        {now && <p class="small soft mono">{now.redemption_id}</p>}
      </div>
    </Sheet>
  )
}

function Facts({ redemption }: { redemption: Redemption }) {
  const t = scanner()
  const { bill, hold_expires_at, outlet_id } = redemption
  const isHold = redemption.status === 'held'
  return (
    <dl class="figures">
      <div><dt>{t.when}</dt><dd>{moment(redemption.created_at)}{outlet_id && ` · ${outletName(outlet_id)}`}</dd></div>
      {hold_expires_at && <div><dt>{t.deadline}</dt><dd class="strong">{momentAt(Date.parse(hold_expires_at), terminal.value?.time_zone)}</dd></div>}
      {bill && (
        <>
          <div><dt>{bill.reference}</dt><dd class="figure">{money(bill.amount_minor, bill.currency)}</dd></div>
          <div><dt>{t.saved}</dt><dd class="figure">{money(bill.discount_minor, bill.currency)}</dd></div>
          <div class="pay"><dt>{isHold ? t.payableExpected : t.payable}</dt><dd class="figure">{money(bill.payable_minor, bill.currency)}</dd></div>
        </>
      )}
    </dl>
  )
}

export function benefitName(benefitId: string): string {
  return named(group.value?.benefits.find((each) => each.benefit_id === benefitId)?.name, benefitId)
}

function partName(part: Part): string {
  const t = scanner()
  return part.kind === 'points' ? t.points : part.kind === 'stored_value' ? t.storedValue : benefitName(part.name)
}

/** How much of a part, in its own unit: what stands on the button that moves it. */
function amountText(part: Part, amount: number): string {
  const t = scanner()
  if (part.kind === 'points') return t.pointsHas(whole(amount))
  return part.kind === 'stored_value' ? money(amount, currency.value) : `${partName(part)} × ${whole(amount)}`
}

function sumText(parts: readonly Part[], chosen: readonly number[]): string {
  return parts.flatMap((part, index) => ((chosen[index] ?? 0) > 0 ? [amountText(part, chosen[index] ?? 0)] : [])).join(' · ')
}

function Amounts({ parts, chosen, onChange }: { parts: readonly Part[]; chosen: readonly number[]; onChange: (chosen: number[]) => void }) {
  return (
    <ul class="card rows">
      {parts.map((part, index) => (
        <li key={part.name} class="offer">
          <span class="grow">{partName(part)} <span class="small soft">/ {part.kind === 'stored_value' ? money(part.most, currency.value) : whole(part.most)}</span></span>
          <Stepper label={partName(part)} value={chosen[index] ?? 0} most={part.most} by={part.kind === 'benefit' ? 1 : 100}
            onChange={(value) => onChange(chosen.map((each, at) => (at === index ? value : each)))} />
        </li>
      ))}
    </ul>
  )
}

/** All of a hold is taken unless the cashier makes it less; the rest is released. */
function Capture(props: { redemption: Redemption; onTake: (legs: Leg[] | undefined) => void; onVoid: () => void }) {
  const t = scanner()
  const parts = partsOf(props.redemption.legs, 'held')
  const chosen = useSignal(parts.map((each) => each.most))
  const isVoiding = useSignal(false)
  const isAll = parts.every((each, index) => chosen.value[index] === each.most)
  const isNone = chosen.value.every((each) => each === 0)
  if (isVoiding.value)
    return <Sure question={t.releaseSure} yes={t.release} onYes={props.onVoid} onNo={() => (isVoiding.value = false)} />
  return (
    <>
      {parts.length > 0 && <p class="small strong">{t.part}</p>}
      {parts.length > 0 && <Amounts parts={parts} chosen={chosen.value} onChange={(next) => (chosen.value = next)} />}
      <div class="row wrap">
        <button type="button" class="button quiet large" disabled={asking.value} onClick={() => (isVoiding.value = true)}>{t.release}</button>
        {parts.length > 0 && (
          <button type="button" class="button large grow" disabled={asking.value || isNone}
            onClick={() => props.onTake(isAll ? undefined : wantedLegs(parts, chosen.value))}>
            {isAll ? t.captureAll : t.capture}
          </button>
        )}
      </div>
    </>
  )
}

/** Nothing is given back unless it is chosen, and what is chosen is named and confirmed. */
function Refund(props: { redemption: Redemption; onTake: (legs: Leg[] | undefined) => void }) {
  const t = scanner()
  const parts = partsOf(props.redemption.legs, 'captured')
  const chosen = useSignal(parts.map(() => 0))
  const isSure = useSignal(false)
  if (parts.length === 0) return null
  const sum = sumText(parts, chosen.value)
  const isAll = parts.every((each, index) => chosen.value[index] === each.most)
  const isPlain = isAll && props.redemption.status === 'captured'
  if (isSure.value)
    return (
      <Sure question={t.refundSure(sum)} yes={t.refundSum(sum)} onNo={() => (isSure.value = false)}
        onYes={() => props.onTake(isPlain ? undefined : wantedLegs(parts, chosen.value))} />
    )
  return (
    <>
      <div class="row wrap">
        <p class="small strong grow">{t.refundPart}</p>
        <button type="button" class="button plain" disabled={isAll} onClick={() => (chosen.value = parts.map((each) => each.most))}>{t.chooseAll}</button>
      </div>
      <Amounts parts={parts} chosen={chosen.value} onChange={(next) => (chosen.value = next)} />
      <button type="button" class="button large wide" disabled={asking.value || sum === ''} onClick={() => (isSure.value = true)}>
        {sum === '' ? t.refund : t.refundSum(sum)}
      </button>
    </>
  )
}

/** Asks once more; the button that changes nothing has the focus. */
function Sure({ question, yes, onYes, onNo }: { question: string; yes: string; onYes: () => void; onNo: () => void }) {
  const t = scanner()
  useEffect(() => {
    document.querySelector<HTMLButtonElement>('.sure .no')?.focus()
  }, [])
  return (
    <div class="sure stack" role="group" aria-label={question}>
      <p class="strong">{question}</p>
      <div class="row wrap">
        <button type="button" class="button quiet large no" disabled={asking.value} onClick={onNo}>{t.back}</button>
        <button type="button" class="button danger large grow" disabled={asking.value} onClick={onYes}>{yes}</button>
      </div>
    </div>
  )
}
