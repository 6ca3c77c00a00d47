/** Who it is, what may be used, and one tap that confirms. Points are the member's choice unless the business says otherwise. */
import { useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'

import { money, whole } from '../../shared/format'
import { BILL_REFERENCE_CHARACTERS_MAX } from '../../shared/limits'
import { Icon } from '../../shared/parts/icon'
import { Choice, Notice, TierChip } from '../../shared/parts/parts'
import { shared } from '../../shared/texts'
import { againstPoints, basketOf, excludedBy, isEmpty, QUICK_POINTS } from './basket'
import { Categories } from './bill_parts_view'
import { Stepper } from './stepper'
import { scanner } from '../texts'
import { basket, billChanged, billIsFor, billMinor, choose, confirm, currency, hold, holdDay, holdEnds, prepared, pricing, scanAgain, stay, terminal, valueOf } from '../till'
import type { BenefitOffer, Prepared } from '../types'
import { dayAfter, dayOf, endOfDay, momentAt } from '../zone'

export function BasketView() {
  const who = prepared.value
  const unkept = useSignal(false)
  // A sum that is not known yet is never confirmed by an Enter that comes too early.
  const isReady = pricing.value.state === 'priced' || pricing.value.state === 'failed'
  useEffect(() => {
    const focused = document.activeElement
    if (isReady && (focused === null || focused === document.body)) document.querySelector<HTMLButtonElement>('.confirm')?.focus()
  }, [isReady])
  if (!who) return null
  const t = scanner()
  const withBill = billMinor.value > 0
  const nothing = isEmpty(basket.value)
  const label = nothing ? t.confirmWho : hold.value ? t.confirmHold : t.confirmTake
  return (
    <div class="basket">
      <Who who={who} />
      {withBill ? <Offers who={who} /> : <Notice tone="info">{t.noBill}</Notice>}
      <div role="alert">
        {unkept.value && <Notice tone="bad">{t.storageFull}</Notice>}
        {pricing.value.state === 'refused' && <Notice tone="bad">{pricing.value.reason.operator_hint}</Notice>}
        {pricing.value.state === 'failed' && <Notice tone="warn" title={t.notPriced}>{pricing.value.hint ?? shared().unreachable}</Notice>}
      </div>
      {!nothing && hold.value && <HoldUntil />}
      <footer class="sum card">
        {withBill && <Sum />}
        {!nothing && (
          <Choice label={t.holdIt} chosen={hold.value ? 'hold' : 'take'} onChoose={(chosen) => (hold.value = chosen === 'hold')}
            options={[{ value: 'take', text: t.takeNow }, { value: 'hold', text: t.holdIt }]} />
        )}
        {!nothing && hold.value && <Deadline />}
        <div class="row wrap">
          <button type="button" class="button quiet large" onClick={scanAgain}>{t.back}</button>
          <button type="button" class="button large grow confirm" disabled={!isReady}
            onClick={() => void confirm().catch(() => (unkept.value = true))}>
            <Icon name={hold.value && !nothing ? 'lock' : nothing ? 'user' : 'check'} />{label}
          </button>
        </div>
      </footer>
    </div>
  )
}

/** What the gateway says the basket comes to. */
function Sum() {
  const t = scanner()
  const now = pricing.value
  const billed = now.state === 'priced' ? now.bill : null
  const text = (minor: number | undefined, minus = '') => (minor === undefined ? '…' : `${minus}${money(minor, currency.value)}`)
  return (
    <dl class="figures" aria-busy={now.state === 'asked'}>
      <div><dt>{t.bill}</dt><dd class="figure">{money(billMinor.value, currency.value)}</dd></div>
      <div><dt>{t.takes}</dt><dd class="figure">{text(billed?.discount_minor, '− ')}</dd></div>
      <div class="pay"><dt>{hold.value ? t.payableExpected : t.payable}</dt><dd class="figure" data-testid="payable">{text(billed?.payable_minor)}</dd></div>
    </dl>
  )
}

/** How long a hold lasts: the group's short one, or to the end of a day at the outlet, such as that of check-out. */
function HoldUntil() {
  const t = scanner()
  const field = useId()
  const zone = terminal.value?.time_zone ?? 'UTC'
  const holds = terminal.value?.holds ?? { default_seconds: 900, maximum_seconds: 900 }
  const now = Date.now()
  const today = dayOf(now, zone)
  let latest = dayOf(now + holds.maximum_seconds * 1000, zone)
  if (endOfDay(latest, zone) > now + holds.maximum_seconds * 1000) latest = dayAfter(latest, -1)
  return (
    <div class="hold-until card padded stack">
      {latest >= today && (
        <div class="field">
          <label for={field}>{t.checkOut}</label>
          <div class="row wrap">
            <input id={field} class="input grow" type="date" min={today} max={latest} value={holdDay.value ?? ''}
              onInput={(event) => {
                const day = event.currentTarget.value
                holdDay.value = day >= today && day <= latest ? day : null
              }} />
            {holdDay.value !== null && <button type="button" class="button plain" onClick={() => (holdDay.value = null)}>{t.clear}</button>}
          </div>
        </div>
      )}
      <Stay onDone={() => void billChanged()} />
    </div>
  )
}

function Deadline() {
  const t = scanner()
  const ends = holdEnds()
  const minutes = Math.round((terminal.value?.holds?.default_seconds ?? 900) / 60)
  return (
    <p class="strong" data-testid="deadline">
      {ends === null ? t.holdFor(whole(minutes)) : t.holdUntil(momentAt(ends, terminal.value?.time_zone))}
    </p>
  )
}

/** The number of the stay: benefits that are counted per stay are offered once it is told. */
export function Stay({ onDone }: { onDone?: () => void }) {
  const t = scanner()
  const field = useId()
  return (
    <div class="field">
      <label for={field}>{t.stay}</label>
      <input id={field} class="input" maxLength={BILL_REFERENCE_CHARACTERS_MAX} autocomplete="off" spellcheck={false} placeholder={t.referenceHint} pattern="[!-~]+( [!-~]+)*"
        value={stay.value} onChange={(event) => {
          stay.value = event.currentTarget.value.trim()
          onDone?.()
        }} />
    </div>
  )
}

function Who({ who }: { who: Prepared }) {
  const t = scanner()
  return (
    <section class={`who-card ${who.member.tier}`} aria-label={t.who}>
      <div>
        <h1>{who.member.display_name}</h1>
        <TierChip tier={who.member.tier} />
      </div>
      <div class="has">
        <span class="figure">{t.pointsHas(whole(who.balance.points))}</span>
        {who.balance.stored_value_minor > 0 && <span class="small">{t.storedHas(money(who.balance.stored_value_minor, currency.value))}</span>}
      </div>
    </section>
  )
}

function Offers({ who }: { who: Prepared }) {
  const t = scanner()
  const usable = who.benefits.filter((each) => each.usable)
  const others = who.benefits.filter((each) => !each.usable)
  return (
    <section class="offers" aria-label={t.use}>
      <div class="row wrap">
        <h2 class="grow">{t.use}</h2>
        <button type="button" class="button plain" onClick={() => choose(basketOf(who.best.legs))}>{t.best}</button>
      </div>
      <ul class="card rows">
        {usable.map((offer) => <Offer key={offer.benefit_id} offer={offer} offers={who.benefits} />)}
        <Points who={who} />
        {who.stored_value.maximum_minor > 0 && <StoredValue who={who} />}
      </ul>
      <Categories onChoose={(category) => void billIsFor(category)} />
      {terminal.value?.counts_stays && !hold.value && <Stay onDone={() => void billChanged()} />}
      {others.length > 0 && (
        <details class="others">
          <summary>{t.notUsable(whole(others.length))}</summary>
          <ul class="card rows">
            {others.map((offer) => (
              <li key={offer.benefit_id}>
                <span class="strong">{offer.name}</span>
                <span class="small soft"> {offer.reason?.operator_hint}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}

function Offer({ offer, offers }: { offer: BenefitOffer; offers: readonly BenefitOffer[] }) {
  const t = scanner()
  const uses = basket.value.benefits[offer.benefit_id] ?? 0
  const set = (wanted: number) => choose({ ...basket.peek(), benefits: { ...basket.peek().benefits, [offer.benefit_id]: wanted } })
  const beside = excludedBy(offer, offers, basket.value)
  if (offer.excludes.includes('points') && basket.value.points > 0) beside.push(t.points)
  const left = offer.remaining_uses_today < offer.remaining_uses
    ? t.usesLeftToday(whole(offer.remaining_uses_today), whole(offer.remaining_uses))
    : t.usesLeft(whole(offer.remaining_uses))
  const isBarred = beside.length > 0 && uses === 0
  return (
    <li class="offer">
      <span class="grow">
        <span class="strong">{offer.name}</span>
        <span class="small soft">{offer.value_minor > 0 && `${t.off(money(offer.value_minor, currency.value))} · `}{left}</span>
        {isBarred && <span class="small">{t.notBeside(beside.join('、'))}</span>}
      </span>
      {offer.max_uses_here > 1
        ? <Stepper label={offer.name} value={uses} most={isBarred ? 0 : offer.max_uses_here} by={1} onChange={set} />
        : <Most label={offer.name} on={uses > 0} disabled={isBarred} onChange={(on) => set(on ? 1 : 0)} />}
    </li>
  )
}

function Points({ who }: { who: Prepared }) {
  const t = scanner()
  const { maximum, value_minor, minimum } = who.points
  const { points } = basket.value
  const set = (wanted: number) => choose({ ...basket.peek(), points: wanted })
  const against = againstPoints(who.benefits, basket.value)
  const value = valueOf('points')
  if (maximum === 0) return <li class="offer"><span class="soft">{t.noPoints}</span></li>
  const isBarred = against.length > 0 && points === 0
  const quick = QUICK_POINTS.filter((amount) => amount >= minimum && amount < maximum)
  return (
    <li class="offer points">
      <span class="grow">
        <span class="strong">{t.points}</span>
        <span class="small soft">
          {t.pointsUpTo(whole(maximum), money(value_minor, currency.value))}
          {minimum > 1 && ` · ${t.pointsMinimum(whole(minimum))}`}
        </span>
        {isBarred && <span class="small">{t.notBeside(against.join('、'))}</span>}
      </span>
      <Stepper label={t.points} value={points} most={isBarred ? 0 : maximum} by={Math.max(minimum, 100)} onChange={set} />
      {points > 0 && value !== null && <span class="figure amount">− {money(value, currency.value)}</span>}
      <span class="quick" role="group" aria-label={t.points}>
        {quick.map((amount) => (
          <button key={amount} type="button" class="button quiet" disabled={isBarred} aria-pressed={points === amount} onClick={() => set(amount)}>{whole(amount)}</button>
        ))}
        <button type="button" class="button quiet" disabled={isBarred} aria-pressed={points === maximum} onClick={() => set(maximum)}>{t.most}</button>
        {points > 0 && <button type="button" class="button plain" onClick={() => set(0)}>{t.none}</button>}
      </span>
    </li>
  )
}

/** As much as is left to pay, as the gateway says: more than that is made less there. */
function StoredValue({ who }: { who: Prepared }) {
  const t = scanner()
  const chosen = basket.value.storedValueMinor
  return (
    <li class="offer">
      <span class="grow">
        <span class="strong">{t.storedValue}</span>
        <span class="small soft">{t.storedUpTo(money(who.stored_value.maximum_minor, currency.value))}</span>
      </span>
      <Most label={t.storedValue} on={chosen > 0}
        onChange={(on) => choose({ ...basket.peek(), storedValueMinor: on ? who.stored_value.maximum_minor : 0 })} />
      {chosen > 0 && pricing.value.state === 'priced' && <span class="figure amount">− {money(chosen, currency.value)}</span>}
    </li>
  )
}

function Most({ label, on, disabled, onChange }: { label: string; on: boolean; disabled?: boolean; onChange: (on: boolean) => void }) {
  return (
    <button type="button" class="switch" role="switch" aria-checked={on} aria-label={label} disabled={disabled ?? false} onClick={() => onChange(!on)}>
      <span />
    </button>
  )
}
