/** What the member may use: where, when, how often still, and why not now. */
import { categoryName } from '../shared/categories'
import { money, month, whole } from '../shared/format'
import { Icon, type IconName } from '../shared/parts/icon'
import { Empty } from '../shared/parts/parts'
import { benefits, businessName, currencyOf, levelName } from './member'
import { NotThere } from './stale'
import { member } from './texts'
import type { Benefit } from './types'

export function BenefitsView() {
  const t = member()
  const all = benefits.value
  if (!all) return <NotThere />
  if (all.length === 0) return <Empty icon="gift" text={t.noBenefits} />
  const usable = all.filter((each) => each.not_now === null)
  const not = all.filter((each) => each.not_now !== null)
  return (
    <div class="view">
      {usable.length > 0 && <Group title={t.usable} benefits={usable} />}
      {not.length > 0 && <Group title={t.notUsable} benefits={not} />}
    </div>
  )
}

function Group({ title, benefits: listed }: { title: string; benefits: Benefit[] }) {
  return (
    <>
      <div class="view-head"><h2>{title}</h2></div>
      <ul class="benefits">
        {listed.map((each) => <li key={each.benefit_id}><BenefitCard benefit={each} /></li>)}
      </ul>
    </>
  )
}

function BenefitCard({ benefit }: { benefit: Benefit }) {
  const t = member()
  const first = benefit.lots[0]
  return (
    <article class={`card benefit ${benefit.not_now ? 'dim' : ''}`}>
      <header class="row">
        <div class="grow">
          <h3>{benefit.name}</h3>
          <p class="small soft">{[worth(benefit), t.grantedBy(businessName(benefit.granted_by))].filter(Boolean).join(' · ')}</p>
        </div>
        <p class="remaining">{left(benefit)}</p>
      </header>
      {benefit.not_now && <p class="chip warn"><Icon name="clock" size={16} />{t[benefit.not_now]}</p>}
      <ul class="terms">
        <Term icon="place">{benefit.businesses ? benefit.businesses.map(businessName).join('、') : t.everywhere}</Term>
        {benefit.categories && <Term icon="gift">{t.onlyFor(benefit.categories.map(categoryName).join('、'))}</Term>}
        <Term icon="clock">{when(benefit)}</Term>
        {benefit.per_day !== null && <Term icon="refresh">{t.perDay(whole(benefit.used_today), whole(benefit.per_day))}</Term>}
        {benefit.per_month !== null && <Term icon="refresh">{t.perMonth(whole(benefit.used_this_month), whole(benefit.per_month))}</Term>}
        {benefit.minimum_spend_minor > 0 && <Term icon="store">{t.minimumSpend(money(benefit.minimum_spend_minor, currencyOf(benefit.granted_by)))}</Term>}
        {benefit.minimum_tier && <Term icon="user">{t.fromTier(levelName(benefit.minimum_tier))}</Term>}
        {first && <Term icon="info">{first.expires_month ? t.endOf(month(first.expires_month)) : t.never}</Term>}
      </ul>
    </article>
  )
}

function Term({ icon, children }: { icon: IconName; children: string }) {
  return <li><Icon name={icon} size={18} /><span>{children}</span></li>
}

/** As a till says it, and in all: a cap leaves less of them for today or this month. */
function left(benefit: Benefit): string {
  const t = member()
  const all = benefit.remaining_uses
  const month = benefit.per_month === null ? all : Math.max(0, Math.min(all, benefit.per_month - benefit.used_this_month))
  const today = benefit.per_day === null ? null : Math.max(0, Math.min(month, benefit.per_day - benefit.used_today))
  if (today !== null) return t.usesLeft(whole(all), whole(today))
  return month < all ? t.usesLeftThisMonth(whole(all), whole(month)) : t.usesLeft(whole(all), null)
}

function worth(benefit: Benefit): string {
  const t = member()
  const { discount } = benefit
  const currency = currencyOf(benefit.granted_by)
  switch (discount.kind) {
    case 'percent_off':
      return [t.percentOff(discount.percent), discount.maximum_minor == null ? '' : t.atMost(money(discount.maximum_minor, currency))]
        .filter(Boolean).join(' · ')
    case 'amount_off':
      return t.amountOff(money(discount.amount_minor, currency))
    case 'item':
      return t.itemWorth(money(discount.value_minor, currency))
    case 'none':
      return ''
  }
}

function when(benefit: Benefit): string {
  const t = member()
  const days = benefit.weekdays?.map((each) => t.weekdays[each - 1]).join('、')
  const hours = benefit.hours?.map((each) => `${each.from}–${each.to}`).join('、')
  const from = benefit.first_day ?? ''
  const until = benefit.last_day ?? ''
  const span = from || until ? `${from}–${until}` : ''
  return [days, hours, span].filter(Boolean).join(' ') || t.allDay
}
