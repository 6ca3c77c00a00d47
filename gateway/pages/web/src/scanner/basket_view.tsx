/** Who it is, what may be used, and one tap that confirms. The best basket is chosen beforehand. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { money, whole } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { Choice, Notice, TierChip } from '../shared/parts/parts'
import { basketOf, estimateMinor, isEmpty, pointsValueMinor } from './basket'
import { Categories } from './bill_parts_view'
import { Stepper } from './stepper'
import { scanner } from './texts'
import { basket, billIsFor, billMinor, confirm, currency, hold, prepared, scanAgain } from './till'
import type { BenefitOffer, Prepared } from './types'

export function BasketView() {
  const who = prepared.value
  const unkept = useSignal(false)
  useEffect(() => {
    document.querySelector<HTMLButtonElement>('.confirm')?.focus()
  }, [])
  if (!who) return null
  const t = scanner()
  const withBill = billMinor.value > 0
  const off = Math.min(estimateMinor(who, basket.value), billMinor.value)
  const label = !withBill && isEmpty(basket.value) ? t.confirmWho : hold.value ? t.confirmHold : t.confirmTake
  return (
    <div class="basket">
      <Who who={who} />
      {withBill ? <Offers who={who} /> : <Notice tone="info">{t.noBill}</Notice>}
      <div role="alert">{unkept.value && <Notice tone="bad">{t.storageFull}</Notice>}</div>
      <footer class="sum card">
        {withBill && (
          <dl class="figures">
            <div><dt>{t.bill}</dt><dd class="figure">{money(billMinor.value, currency.value)}</dd></div>
            <div><dt>{t.takes}</dt><dd class="figure">− {money(off, currency.value)}</dd></div>
            <div class="pay"><dt>{t.payable} <span class="tiny soft">{t.about}</span></dt><dd class="figure" data-testid="payable">{money(billMinor.value - off, currency.value)}</dd></div>
          </dl>
        )}
        {!isEmpty(basket.value) && (
          <Choice label={t.holdIt} chosen={hold.value ? 'hold' : 'take'} onChoose={(chosen) => (hold.value = chosen === 'hold')}
            options={[{ value: 'take', text: t.takeNow }, { value: 'hold', text: t.holdIt }]} />
        )}
        <div class="row">
          <button type="button" class="button quiet large" onClick={scanAgain}>{t.back}</button>
          <button type="button" class="button large grow confirm"
            onClick={() => void confirm().catch(() => (unkept.value = true))}>
            <Icon name={hold.value ? 'lock' : 'check'} />{label}
          </button>
        </div>
      </footer>
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
  const chosen = basket.value
  return (
    <section class="offers" aria-label={t.use}>
      <div class="row">
        <h2 class="grow">{t.use}</h2>
        <button type="button" class="button plain" onClick={() => (basket.value = basketOf(who.best.legs))}>{t.best}</button>
      </div>
      <ul class="card rows">
        {usable.map((offer) => <Offer key={offer.benefit_id} offer={offer} uses={chosen.benefits[offer.benefit_id] ?? 0} />)}
        <Points who={who} />
        {who.stored_value.maximum_minor > 0 && (
          <li class="offer">
            <span class="grow">
              <span class="strong">{t.storedValue}</span>
              <span class="small soft">{t.storedUpTo(money(who.stored_value.maximum_minor, currency.value))}</span>
            </span>
            <Most label={t.storedValue} on={chosen.storedValueMinor > 0}
              onChange={(on) => (basket.value = { ...chosen, storedValueMinor: on ? storedFor(who) : 0 })} />
            {chosen.storedValueMinor > 0 && <span class="figure amount">− {money(chosen.storedValueMinor, currency.value)}</span>}
          </li>
        )}
      </ul>
      <Categories onChoose={(category) => void billIsFor(category)} />
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

/** As much as is left to pay, and no more than there is. */
function storedFor(who: Prepared): number {
  const rest = billMinor.peek() - estimateMinor(who, { ...basket.peek(), storedValueMinor: 0 })
  return Math.max(0, Math.min(who.stored_value.maximum_minor, rest))
}

function Offer({ offer, uses }: { offer: BenefitOffer; uses: number }) {
  const t = scanner()
  const set = (wanted: number) => (basket.value = { ...basket.peek(), benefits: { ...basket.peek().benefits, [offer.benefit_id]: wanted } })
  return (
    <li class="offer">
      <span class="grow">
        <span class="strong">{offer.name}</span>
        <span class="small soft">{t.off(money(offer.value_minor, currency.value))} · {t.usesLeft(whole(offer.remaining_uses))}</span>
      </span>
      {offer.remaining_uses > 1
        ? <Stepper label={offer.name} value={uses} most={Math.min(offer.remaining_uses, 100)} by={1} onChange={set} />
        : <Most label={offer.name} on={uses > 0} onChange={(on) => set(on ? 1 : 0)} />}
    </li>
  )
}

function Points({ who }: { who: Prepared }) {
  const t = scanner()
  const { maximum, value_minor, minimum } = who.points
  const { points } = basket.value
  const set = (wanted: number) => (basket.value = { ...basket.peek(), points: wanted })
  if (maximum === 0) return <li class="offer"><span class="soft">{t.noPoints}</span></li>
  return (
    <li class="offer">
      <span class="grow">
        <span class="strong">{t.points}</span>
        <span class="small soft">
          {t.pointsUpTo(whole(maximum), money(value_minor, currency.value))}
          {minimum > 1 && ` · ${t.pointsMinimum(whole(minimum))}`}
        </span>
      </span>
      <span class="points-choice">
        <Stepper label={t.points} value={points} most={maximum} by={Math.max(minimum, 100)} onChange={set} />
        <button type="button" class="button plain" onClick={() => set(points === maximum ? 0 : maximum)}>
          {points === maximum ? t.none : t.most}
        </button>
      </span>
      {points > 0 && <span class="figure amount">− {money(pointsValueMinor(who, points), currency.value)}</span>}
    </li>
  )
}

function Most({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <button type="button" class="switch" role="switch" aria-checked={on} aria-label={label} onClick={() => onChange(!on)}>
      <span />
    </button>
  )
}
