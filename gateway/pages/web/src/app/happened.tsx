/** What just happened, said at once: what was taken, where, what is left. */
import { useEffect, useRef } from 'preact/hooks'

import { moment, money, whole } from '../shared/format'
import { Icon, type IconName } from '../shared/parts/icon'
import { happened, mentioned } from './live'
import { member } from './texts'
import type { Bill, Notice } from './types'
import { changeWords, legWords } from './words'

const LOOKS: Partial<Record<Notice['kind'], { icon: IconName; tone: string }>> = {
  redeem: { icon: 'check', tone: 'good' },
  hold: { icon: 'lock', tone: 'info' },
  identify: { icon: 'user', tone: 'info' },
  accrue: { icon: 'plus', tone: 'good' },
  refund: { icon: 'undo', tone: 'good' },
}

export function Happened() {
  const notice = happened.value
  return notice ? <HappenedSheet key={notice.event_id} notice={notice} /> : null
}

function HappenedSheet({ notice }: { notice: Notice }) {
  const t = member()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal()
  }, [])
  const look = LOOKS[notice.kind] ?? { icon: 'info' as const, tone: 'info' }
  const title = { redeem: t.taken, hold: t.held, identify: t.identified, accrue: t.earned, refund: t.givenBack }[notice.kind as string]
  const place = notice.business && (notice.outlet ? t.at(notice.business.name, notice.outlet.name) : notice.business.name)
  return (
    <dialog ref={dialog} class={`happened ${look.tone}`} aria-labelledby="happened-title" onClose={() => (happened.value = null)}>
      <div class="seal"><Icon name={look.icon} size={44} /></div>
      <div role="status" class="stack">
        <h2 id="happened-title">{title ?? notice.title}</h2>
        {place && <p class="place-name"><Icon name="place" size={18} />{place}</p>}
        <Taken notice={notice} />
        {notice.bill && <BillLine bill={notice.bill} expected={notice.kind === 'hold'} />}
        {notice.kind === 'hold' && notice.hold_expires_at && <p>{t.holdUntil} {moment(notice.hold_expires_at)}</p>}
        <Left notice={notice} />
        {notice.code && <p class="small soft">{t.freshCode}</p>}
      </div>
      <button type="button" class="button large wide" autofocus onClick={() => dialog.current?.close()}>{t.done}</button>
    </dialog>
  )
}

function Taken({ notice }: { notice: Notice }) {
  const t = member()
  if (notice.legs && notice.legs.length > 0) {
    return (
      <ul class="taken">
        {notice.legs.map((leg, index) => {
          const { what, amount } = legWords(leg)
          return (
            <li key={index}>
              <span>{what}</span>
              <span class="figure">{amount}</span>
            </li>
          )
        })}
      </ul>
    )
  }
  const moved = notice.changes.filter((change) => change.available !== 0)
  if (moved.length === 0) return <p class="soft">{t.nothingTaken}</p>
  return <p class="moved figure">{moved.map(changeWords).join(' · ')}</p>
}

/** What is not known (earning takes nothing off a bill) is not said; a hold says what is expected. */
function BillLine({ bill, expected }: { bill: Bill; expected: boolean }) {
  const t = member()
  return (
    <dl class="bill-line">
      <div><dt>{t.bill}</dt><dd>{money(bill.amount_minor, bill.currency)}</dd></div>
      {bill.discount_minor !== null && (
        <div><dt>{expected ? t.savedExpected : t.saved}</dt><dd>{money(bill.discount_minor, bill.currency)}</dd></div>
      )}
      {bill.payable_minor !== null && (
        <div class="pay"><dt>{expected ? t.payExpected : t.pay}</dt><dd class="figure">{money(bill.payable_minor, bill.currency)}</dd></div>
      )}
    </dl>
  )
}

function Left({ notice }: { notice: Notice }) {
  const t = member()
  const { balance } = notice
  if (!balance) return null
  const touched = new Set(notice.changes.map((change) => change.kind))
  return (
    <dl class="left">
      <dt>{t.left}</dt>
      <dd>
        <span><b class="figure" data-testid="left-points">{whole(balance.points)}</b> {t.pointsUnit}</span>
        {balance.benefits.map((each) => <span key={each.benefit_id}>{each.name} {t.usesLeft(whole(each.remaining_uses), each.left_today === null ? null : whole(each.left_today))}</span>)}
        {touched.has('stored_value') && balance.stored_value.map((each) => (
          <span key={each.currency}>{t.storedValue} {money(each.amount_minor, each.currency)}</span>
        ))}
      </dd>
    </dl>
  )
}

/** A line that comes and goes: what matters less than a use. */
export function Mentioned() {
  const notice = mentioned.value
  return (
    <div class="mentioned" role="status">
      {notice && (
        <div class="card">
          <Icon name="bell" size={20} />
          <div>
            <p class="strong">{notice.title}</p>
            <p class="small soft">{notice.explanation}</p>
          </div>
        </div>
      )}
    </div>
  )
}
