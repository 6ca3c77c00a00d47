/** What came of it: fills the place with a colour, a shape and a word, and says what to do next. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { money, moment, whole } from '../shared/format'
import { Icon, type IconName } from '../shared/parts/icon'
import { TierChip } from '../shared/parts/parts'
import type { Attempt } from './journal'
import { inEnglish, scanner } from './texts'
import { billMinor, code, confirm, current, currency, earn, nextCustomer, notTaken, prepared, scanAgain, screen, terminal, tryAgain } from './till'
import type { Redemption } from './types'
import { momentAt } from './zone'

export function OutcomeView() {
  const attempt = current.value
  useEffect(() => {
    document.querySelector<HTMLButtonElement>('.outcome .first')?.focus()
  }, [attempt?.key, attempt?.state])
  if (!attempt) return null
  if (attempt.state === 'refused') return <Refused attempt={attempt} />
  if (attempt.state === 'cancelled') return <Cancelled attempt={attempt} />
  return attempt.redemption ? <Applied attempt={attempt} redemption={attempt.redemption} /> : null
}

function Fill(props: { tone: string; icon: IconName; title: string; children: preact.ComponentChildren }) {
  return (
    <section class={`outcome ${props.tone}`}>
      <div class="outcome-shape" aria-hidden="true"><Icon name={props.icon} size={72} /></div>
      <div role="status"><h1>{props.title}</h1></div>
      {props.children}
    </section>
  )
}

function Applied({ attempt, redemption }: { attempt: Attempt; redemption: Redemption }) {
  const t = scanner()
  const { bill, balance } = redemption
  const isHold = redemption.status === 'held'
  const zone = terminal.value?.time_zone
  const title = isHold ? t.held : redemption.legs.length === 0 ? t.identified : t.done
  return (
    <Fill tone={isHold ? 'held' : 'good'} icon={isHold ? 'lock' : redemption.legs.length === 0 ? 'user' : 'check'} title={title}>
      <p class="outcome-who">{redemption.member.display_name} <TierChip tier={redemption.member.tier} /></p>
      {bill && (
        <p class="outcome-amount">
          <span>{isHold ? t.payableExpected : t.charge}</span>
          <b class="figure" data-testid="charge">{money(bill.payable_minor, bill.currency)}</b>
          {bill.discount_minor > 0 && <span>{t.saved} {money(bill.discount_minor, bill.currency)}</span>}
        </p>
      )}
      {redemption.hold_expires_at && <p class="strong">{t.holdUntil(momentAt(Date.parse(redemption.hold_expires_at), zone))}</p>}
      <p class="outcome-left">
        {t.left} <b class="figure">{t.pointsHas(whole(balance.points))}</b>
        {balance.stored_value_minor > 0 && <> · {t.storedHas(money(balance.stored_value_minor, currency.value))}</>}
      </p>
      <div class="outcome-ways">
        <button type="button" class="button large first" onClick={nextCustomer}>{t.newCustomer}</button>
        {bill && !isHold && bill.payable_minor > 0 && <Earn attempt={attempt} />}
      </div>
    </Fill>
  )
}

function Earn({ attempt }: { attempt: Attempt }) {
  const t = scanner()
  const said = useSignal<string | null>(null)
  const busy = useSignal(false)
  if (said.value) return <p role="status">{said.value}</p>
  return (
    <button type="button" class="button quiet" disabled={busy.value}
      onClick={async () => {
        busy.value = true
        const earned = await earn(attempt)
        busy.value = false
        said.value = typeof earned === 'number' ? t.earned(whole(earned)) : (earned ?? t.unreachableStep)
      }}>
      <Icon name="plus" />{t.earn}
    </button>
  )
}

function Refused({ attempt }: { attempt: Attempt }) {
  const t = scanner()
  const problem = attempt.problem
  if (!problem) return null
  const here = prepared.value !== null && code.value !== ''
  const duplicate = problem.code === 'possible_duplicate'
  const { earlier } = problem
  function backToBasket(): void {
    notTaken.value = null
    screen.value = 'basket'
  }
  return (
    <Fill tone="bad" icon={duplicate ? 'question' : 'cross'} title={t.refused}>
      <p class="outcome-hint">{problem.operator_hint}</p>
      {!duplicate && <p class="outcome-detail">{inEnglish(problem.detail)}</p>}
      {earlier && (
        <p class="outcome-who" data-testid="earlier">
          {t.earlier(moment(earlier.created_at), t.status[earlier.status], earlier.bill ? money(earlier.bill.amount_minor, earlier.bill.currency) : '')}
        </p>
      )}
      <p class="outcome-left">{t.nothingTaken}</p>
      <div class="outcome-ways">
        {duplicate && <button type="button" class="button large first" onClick={nextCustomer}>{t.isDuplicate}</button>}
        {here && duplicate && (
          <button type="button" class="button quiet" onClick={() => void confirm({ duplicate: true })}>{t.notDuplicate}</button>
        )}
        {here && !duplicate && problem.retry === 'same_key' && (
          <button type="button" class="button large first" onClick={() => void tryAgain()}>{t.sameAgain}</button>
        )}
        {here && !duplicate && problem.retry === 'new_key' && (
          <button type="button" class="button large first" onClick={backToBasket}>{t.changeBasket}</button>
        )}
        {problem.retry === 'new_code' && <button type="button" class="button large first" onClick={scanAgain}>{t.freshCode}</button>}
        {!duplicate && (
          <button type="button" class={`button ${here || problem.retry === 'new_code' ? 'quiet' : 'large first'}`} onClick={nextCustomer}>
            {t.newCustomer}
          </button>
        )}
      </div>
      {billMinor.value > 0 && <p class="small">{t.bill} {money(billMinor.value, currency.value)}</p>}
    </Fill>
  )
}

function Cancelled({ attempt }: { attempt: Attempt }) {
  const t = scanner()
  return (
    <Fill tone="unknown" icon="undo" title={t.cancelled}>
      <p class="outcome-hint">{attempt.effect === 'reversed' ? t.undone : t.neverApplied}</p>
      <div class="outcome-ways">
        <button type="button" class="button large first" onClick={nextCustomer}>{t.newCustomer}</button>
      </div>
    </Fill>
  )
}
