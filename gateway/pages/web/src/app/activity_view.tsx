/** What happened, newest first, by day; each entry unfolds to its explanation. */
import { useSignal } from '@preact/signals'

import { day, money, moment, signed, whole } from '../shared/format'
import { Icon, type IconName } from '../shared/parts/icon'
import { Empty } from '../shared/parts/parts'
import { activity, loadOlder, olderThan } from './member'
import { NotThere } from './stale'
import { member } from './texts'
import type { Activity, Change, Kind } from './types'
import { changeWords } from './words'

const ICONS: Record<Kind, IconName> = {
  identify: 'user', redeem: 'check', hold: 'lock', capture: 'check', release: 'undo', refund: 'undo', reverse: 'undo',
  accrue: 'plus', issue: 'gift', expire: 'clock', adjust: 'settings',
}

/** What stands at the right of an entry, where several things moved. */
const ORDER: Record<Change['kind'], number> = { points: 0, stored_value: 1, benefit: 2 }

export function ActivityView() {
  const t = member()
  const all = activity.value
  const busy = useSignal(false)
  if (!all) return <NotThere />
  if (all.length === 0) return <Empty icon="list" text={t.noActivity} />
  const days = new Map<string, Activity[]>()
  for (const each of all) {
    const of = day(each.at)
    days.set(of, [...(days.get(of) ?? []), each])
  }
  return (
    <div class="view">
      {[...days].map(([of, entries]) => (
        <section key={of}>
          <div class="view-head"><h2>{of}</h2></div>
          <ul class="card rows activity">
            {entries.map((each) => <Entry key={each.event_id} entry={each} />)}
          </ul>
        </section>
      ))}
      {olderThan.value !== null && (
        <button type="button" class="button quiet" disabled={busy.value}
          onClick={() => {
            busy.value = true
            void loadOlder().finally(() => (busy.value = false))
          }}>
          {t.older}
        </button>
      )}
    </div>
  )
}

function Entry({ entry }: { entry: Activity }) {
  const t = member()
  const moved = entry.changes.filter((change) => change.available !== 0).sort((one, other) => ORDER[one.kind] - ORDER[other.kind])
  const place = entry.business && (entry.outlet ? t.at(entry.business.name, entry.outlet.name) : entry.business.name)
  return (
    <li>
      <details>
        <summary class="row">
          <span class={`event-icon ${moved.some((change) => change.available > 0) ? 'in' : ''}`}><Icon name={ICONS[entry.kind]} size={20} /></span>
          <span class="grow">
            <span class="strong">{entry.title}</span>
            <span class="small soft">{place ? `${place} · ` : ''}{moment(entry.at)}</span>
          </span>
          <span class="event-amount figure">{moved[0] ? short(moved[0]) : ''}</span>
        </summary>
        <div class="explained">
          <p>{entry.explanation}</p>
          {moved.length > 1 && <ul class="small">{moved.map((change, index) => <li key={index}>{changeWords(change)}</li>)}</ul>}
          <dl class="facts">
            {entry.status && <div><dt class="unseen">{t.activity}</dt><dd><span class="chip">{t.status[entry.status] ?? entry.status}</span></dd></div>}
            {entry.bill && <div><dt>{t.bill}</dt><dd class="figure">{money(entry.bill.amount_minor, entry.bill.currency)}</dd></div>}
            {entry.bill && entry.bill.payable_minor !== null && (
              <div>
                <dt>{entry.kind === 'hold' ? t.payExpected : t.pay}</dt>
                <dd class="figure">{money(entry.bill.payable_minor, entry.bill.currency)}</dd>
              </div>
            )}
            {entry.bill?.reference && <div><dt>{t.reference}</dt><dd class="mono tiny">{entry.bill.reference}</dd></div>}
            {entry.hold_expires_at && <div><dt>{t.holdUntil}</dt><dd>{moment(entry.hold_expires_at)}</dd></div>}
            <div><dt>{t.number}</dt><dd class="mono tiny">{entry.subject_id}</dd></div>
          </dl>
        </div>
      </details>
    </li>
  )
}

function short(change: Change): string {
  if (change.kind === 'stored_value') return `${change.available < 0 ? '−' : '+'}${money(Math.abs(change.available), change.currency)}`
  return change.kind === 'points' ? signed(change.available) : `${change.available < 0 ? '−' : '+'}${member().uses(whole(Math.abs(change.available)))}`
}
