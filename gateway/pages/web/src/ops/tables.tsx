/** Where it happens and why not: by business and outlet, by reason, and the last refusals one by one. */
import { computed, signal } from '@preact/signals'

import { whole } from '../shared/format'
import { language } from '../shared/language'
import { Icon } from '../shared/parts/icon'
import { Empty } from '../shared/parts/parts'
import { refusals } from './figures'
import { ops } from './texts'
import type { Business, Reason } from './types'

type Order = 'name' | 'accepted' | 'refused'
const order = signal<Order>('accepted')
const opened = signal<ReadonlySet<string>>(new Set())
const onlyReason = signal('')
const onlyBusiness = signal('')

function sorted(businesses: readonly Business[]): Business[] {
  const by = order.value
  return [...businesses].sort((a, b) =>
    by === 'name' ? a.name.localeCompare(b.name, language.value)
    : (b.last_minute?.[by] ?? 0) - (a.last_minute?.[by] ?? 0) || b[by] - a[by],
  )
}

function Heading({ by, text, number }: { by: Order; text: string; number?: boolean }) {
  return (
    <th scope="col" class={number ? 'number' : ''} aria-sort={order.value === by ? (by === 'name' ? 'ascending' : 'descending') : 'none'}>
      <button type="button" onClick={() => (order.value = by)}>{text}{order.value === by && <span aria-hidden="true"> ↓</span>}</button>
    </th>
  )
}

export function Businesses({ businesses }: { businesses: readonly Business[] }) {
  const t = ops()
  function toggle(id: string): void {
    const next = new Set(opened.peek())
    if (!next.delete(id)) next.add(id)
    opened.value = next
  }
  return (
    <section class="card table" aria-label={t.byBusiness}>
      <h2>{t.byBusiness}</h2>
      <div class="scroll" role="region" aria-label={t.byBusiness} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <Heading by="name" text={t.business} />
            <Heading by="accepted" text={t.accepted} number />
            <Heading by="refused" text={t.refused} number />
            <th scope="col" class="number">{t.total}</th>
          </tr>
        </thead>
        <tbody>
          {sorted(businesses).map((business) => {
            const open = opened.value.has(business.business_id)
            return [
              <tr key={business.business_id} data-business={business.business_id}>
                <th scope="row">
                  <button type="button" class="unfold" aria-expanded={open} onClick={() => toggle(business.business_id)}>
                    <span class={open ? 'turned' : ''}><Icon name="chevron" size={18} /></span>{business.name}
                  </button>
                </th>
                <td class="number figure">{whole(business.last_minute?.accepted ?? 0)}</td>
                <td class="number">
                  {business.refused > 0
                    ? <button type="button" class="link" aria-label={`${whole(business.last_minute?.refused ?? 0)}: ${t.showRefusals(business.name)}`} onClick={() => (onlyBusiness.value = business.business_id)}>{whole(business.last_minute?.refused ?? 0)}</button>
                    : whole(0)}
                </td>
                <td class="number soft" data-total>{whole(business.accepted)}</td>
              </tr>,
              ...(open ? business.outlets : []).map((outlet) => (
                <tr key={outlet.outlet_id} class="outlet">
                  <th scope="row">{outlet.name}</th>
                  <td class="number figure">{whole(outlet.last_minute?.accepted ?? 0)}</td>
                  <td class="number">{whole(outlet.last_minute?.refused ?? 0)}</td>
                  <td class="number soft">{whole(outlet.accepted)}</td>
                </tr>
              )),
            ]
          })}
        </tbody>
      </table>
      </div>
    </section>
  )
}

export function Reasons({ reasons }: { reasons: readonly Reason[] }) {
  const t = ops()
  const most = Math.max(1, ...reasons.map((each) => each.total))
  const listed = [...reasons].filter((each) => each.total > 0).sort((a, b) => b.total - a.total)
  return (
    <section class="card table" aria-label={t.byReason}>
      <h2>{t.byReason}</h2>
      {listed.length === 0 ? <Empty icon="check" text={t.nothingYet} /> : (
        <div class="scroll" role="region" aria-label={t.byReason} tabIndex={0}>
        <table>
          <thead>
            <tr><th scope="col">{t.reason}</th><th scope="col" class="number">{t.lastMinute}</th><th scope="col" class="number">{t.total}</th></tr>
          </thead>
          <tbody>
            {listed.map((reason) => (
              <tr key={reason.code}>
                <th scope="row">
                  <button type="button" class="link" onClick={() => (onlyReason.value = reason.code)}>{reason.title}</button>
                  <span class="tiny soft mono">{reason.code}</span>
                  <meter min={0} max={most} value={reason.total} aria-hidden="true" />
                </th>
                <td class="number figure">{reason.last_minute === null ? '–' : whole(reason.last_minute)}</td>
                <td class="number soft">{whole(reason.total)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        </div>
      )}
    </section>
  )
}

const listed = computed(() =>
  refusals.value.filter(
    (each) =>
      (onlyReason.value === '' || each.code === onlyReason.value) &&
      (onlyBusiness.value === '' || each.business?.business_id === onlyBusiness.value),
  ),
)

function Filter(props: { label: string; chosen: string; onChoose: (value: string) => void; options: Map<string, string> }) {
  return (
    <select class="input filter" aria-label={props.label} value={props.chosen} onChange={(event) => props.onChoose(event.currentTarget.value)}>
      <option value="">{props.label}: {ops().all}</option>
      {[...props.options].map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  )
}

export function Refusals() {
  const t = ops()
  const time = new Intl.DateTimeFormat(language.value, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
  const reasons = new Map(refusals.value.map((each) => [each.code, each.title]))
  const businesses = new Map(refusals.value.flatMap((each) => (each.business ? [[each.business.business_id, each.business.name] as const] : [])))
  return (
    <section class="card table refusals" aria-label={t.lastRefusals}>
      <div class="row wrap">
        <h2 class="grow">{t.lastRefusals}</h2>
        <Filter label={t.where} chosen={onlyBusiness.value} onChoose={(value) => (onlyBusiness.value = value)} options={businesses} />
        <Filter label={t.reason} chosen={onlyReason.value} onChoose={(value) => (onlyReason.value = value)} options={reasons} />
      </div>
      {listed.value.length === 0 ? <Empty icon="check" text={t.noneYet} /> : (
        <div class="scroll" role="region" aria-label={t.lastRefusals} tabIndex={0}>
          <table>
            <thead>
              <tr><th scope="col">{t.at}</th><th scope="col">{t.where}</th><th scope="col">{t.reason}</th></tr>
            </thead>
            <tbody>
              {listed.value.map((each, index) => (
                <tr key={`${each.at}${index}`}>
                  <td class="nowrap soft">{time.format(new Date(each.at))}</td>
                  <td>{each.business ? `${each.business.name}${each.outlet ? ` · ${each.outlet.name}` : ''}` : t.unknownPlace} <span class="tiny soft mono">{each.terminal_id}</span></td>
                  <td>{each.title} <span class="tiny soft mono">{each.code} {each.path}</span></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
