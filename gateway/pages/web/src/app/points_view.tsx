/** Points by the month they expire in, first to expire first; stored value; level. */
import { month, monthsAway, money, whole } from '../shared/format'
import { Empty, TierChip } from '../shared/parts/parts'
import { businessName, levelName, me } from './member'
import { NotThere } from './stale'
import { member } from './texts'
import type { PointLot } from './types'

export function PointsView() {
  const t = member()
  const known = me.value
  if (!known) return <NotThere />
  const { balance } = known
  return (
    <div class="view">
      <div class="total card padded">
        <p class="soft small">{t.available}</p>
        <p class="total-figure figure">{whole(balance.points)}</p>
        <div class="row wrap">
          {balance.points_held > 0 && <span class="chip info">{t.onHold(whole(balance.points_held))}</span>}
          {balance.points_owed > 0 && <span class="chip warn">{t.owed(whole(balance.points_owed))}</span>}
        </div>
        <dl class="facts">
          <div><dt>{t.level}</dt><dd><TierChip tier={known.tier} name={levelName(known.tier)} /></dd></div>
          <div><dt>{t.growth}</dt><dd class="figure">{whole(known.growth_value)}</dd></div>
          {balance.stored_value.map((each) => (
            <div key={each.currency}><dt>{t.storedValue}</dt><dd class="figure">{money(each.amount_minor, each.currency)}</dd></div>
          ))}
        </dl>
      </div>
      <div class="view-head">
        <h2>{t.expiry}</h2>
        <p class="small soft">{t.firstToExpire}</p>
      </div>
      {known.lots.length === 0 ? <Empty icon="coins" text={t.noPoints} /> : <Months lots={known.lots} most={balance.points} />}
    </div>
  )
}

function Months({ lots, most }: { lots: PointLot[]; most: number }) {
  const t = member()
  const months = new Map<string, PointLot[]>()
  for (const lot of lots) {
    const key = lot.expires_month ?? ''
    months.set(key, [...(months.get(key) ?? []), lot])
  }
  return (
    <ol class="card rows">
      {[...months].map(([expires, held]) => {
        const sum = held.reduce((total, lot) => total + lot.points, 0)
        const away = expires === '' ? Infinity : monthsAway(expires)
        return (
          <li key={expires} class="month">
            <div class="row">
              <div class="grow">
                <h3>{expires === '' ? t.never : t.endOf(month(expires))}</h3>
                <p class="small soft">{held.map((lot) => `${businessName(lot.issuer)} ${whole(lot.points)}`).join(' · ')}</p>
              </div>
              <p class="figure month-sum">{whole(sum)}</p>
            </div>
            <div class="share" aria-hidden="true"><Share part={sum / most} /></div>
            {away <= 1 && <span class={`chip ${away <= 0 ? 'bad' : 'warn'}`}>{away <= 0 ? t.thisMonth : t.nextMonth}</span>}
          </li>
        )
      })}
    </ol>
  )
}

function Share({ part }: { part: number }) {
  return <span style={{ width: `${Math.max(2, Math.round(part * 100))}%` }} />
}
