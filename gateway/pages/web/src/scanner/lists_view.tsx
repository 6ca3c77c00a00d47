/** What was done at this business: the latest of this outlet, open holds by their deadlines, and a search. */
import { useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'

import { money, moment, named, whole } from '../shared/format'
import { BILL_REFERENCE_CHARACTERS_MAX, CODE_DIGITS } from '../shared/limits'
import { Icon, type IconName } from '../shared/parts/icon'
import { Choice, Empty, Notice, Waiting, type Tone } from '../shared/parts/parts'
import { shared } from '../shared/texts'
import { attempts, steps } from './journal'
import { find, findByCode, findsByCode, group, lists, more, refreshList, tab, wanted, type List, type Tab } from './lists'
import { RedemptionSheet } from './redemption_view'
import { scanner } from './texts'
import { terminal } from './till'
import type { Redemption, Status } from './types'
import { momentAt } from './zone'

const LOOKS: Record<Status, { icon: IconName; tone: Tone | '' }> = {
  held: { icon: 'lock', tone: 'info' }, captured: { icon: 'check', tone: 'good' }, partially_refunded: { icon: 'undo', tone: 'good' },
  refunded: { icon: 'undo', tone: '' }, voided: { icon: 'undo', tone: '' }, expired: { icon: 'clock', tone: '' }, reversed: { icon: 'undo', tone: '' },
}
/** Open holds are read again while they are looked at: another till may end one. */
const REFRESH_MS = 15_000

export function ListsView() {
  const t = scanner()
  const opened = useSignal<Pick<Redemption, 'redemption_id' | 'member'> | null>(null)
  const now = tab.value
  useEffect(() => {
    void refreshList(now)
    const again = setInterval(() => document.visibilityState === 'visible' && void refreshList(now), REFRESH_MS)
    return () => clearInterval(again)
  }, [now, terminal.value?.terminal_id])
  // What this till did a moment ago stands in its list at once.
  const last = attempts.value[0]
  useEffect(() => {
    if (last && last.state !== 'sent' && last.state !== 'unknown') void refreshList(tab.peek())
  }, [last?.key, last?.state])
  const list = lists[now].value
  return (
    <div class="lists">
      <Choice label={t.lists} chosen={now} onChoose={(chosen: Tab) => (tab.value = chosen)}
        options={[{ value: 'latest', text: t.latest }, { value: 'holds', text: t.openHolds }, { value: 'find', text: t.find }]} />
      {steps.value.map((step) => (
        <button key={step.key} type="button" class="card entry open-step"
          onClick={() => (opened.value = { redemption_id: step.redemptionId, member: { member_id: '', tier: '', display_name: step.memberName } })}>
          <Icon name="question" size={22} />
          <span class="grow"><span class="strong">{step.memberName}</span><span class="small">{t.openStep}</span></span>
        </button>
      ))}
      {now === 'find' && <FindForm />}
      {list && <Redemptions list={list} of={now} onOpen={(each) => (opened.value = each)} />}
      {opened.value && <RedemptionSheet of={opened.value} onClose={() => (opened.value = null)} />}
    </div>
  )
}

function Redemptions({ list, of, onOpen }: { list: List; of: Tab; onOpen: (redemption: Redemption) => void }) {
  const t = scanner()
  const nothing = of === 'latest' ? t.nothingYet : of === 'holds' ? t.noHolds : t.nothingFound
  return (
    <>
      <div role="alert">
        {list.fault === 'unreachable' && <Notice tone="warn" title={shared().offline}>{shared().unreachable}</Notice>}
        {list.fault && list.fault !== 'unreachable' && <Notice tone="bad">{list.fault.operator_hint}</Notice>}
      </div>
      {list.redemptions.length > 0 ? (
        <ul class="journal rows card">
          {list.redemptions.map((each) => <li key={each.redemption_id}><Row redemption={each} onOpen={() => onOpen(each)} /></li>)}
        </ul>
      ) : list.isLoading ? <Waiting /> : !list.fault && <Empty icon="list" text={nothing} />}
      {list.next && (
        <button type="button" class="button quiet wide" disabled={list.isLoading} onClick={() => void more(of)}>{t.showMore}</button>
      )}
    </>
  )
}

function Row({ redemption, onOpen }: { redemption: Redemption; onOpen: () => void }) {
  const t = scanner()
  const { icon, tone } = LOOKS[redemption.status]
  const { bill, hold_expires_at } = redemption
  return (
    <button type="button" class="entry" onClick={onOpen}>
      <Icon name={icon} size={22} />
      <span class="grow">
        <span class="strong">{redemption.member.display_name}</span>
        <span class="small soft">{moment(redemption.created_at)}{bill && ` · ${money(bill.amount_minor, bill.currency)}`}</span>
        {hold_expires_at && <span class="small">{t.holdUntil(momentAt(Date.parse(hold_expires_at), terminal.value?.time_zone))}</span>}
      </span>
      <span class={`chip ${tone}`}>{statusWord(redemption)}</span>
    </button>
  )
}

/** What a redemption is called that used nothing: the member was only identified. */
export function statusWord(redemption: Redemption): string {
  const t = scanner()
  return redemption.legs.length === 0 ? t.identifiedShort : t.status[redemption.status]
}

export function outletName(outletId: string): string {
  const outlets = group.value?.businesses.flatMap((each) => each.outlets) ?? []
  return named(outlets.find((each) => each.outlet_id === outletId)?.name, outletId)
}

function FindForm() {
  const t = scanner()
  const field = useId()
  const set = (change: Partial<typeof wanted.value>) => (wanted.value = { ...wanted.peek(), ...change })
  const own = group.value?.businesses.find((each) => each.business_id === terminal.value?.business.business_id)
  const digits = useSignal('')
  const { reference, from, to, outlet } = wanted.value
  return (
    <form class="card padded stack find"
      onSubmit={(event) => {
        event.preventDefault()
        void find()
      }}>
      {findsByCode.value ? (
        <div class="stack" role="status">
          <Notice tone="info" title={t.scanToFind}>{t.notUsedUp}</Notice>
          <div class="field">
            <label for={`${field}-code`}>{t.digits}</label>
            <input id={`${field}-code`} class="input mono" inputMode="numeric" autocomplete="off" maxLength={24} value={digits.value}
              onInput={(event) => {
                digits.value = event.currentTarget.value
                const bare = digits.value.replace(/\D/g, '')
                if (bare.length === CODE_DIGITS) void findByCode(bare)
              }} />
          </div>
          <button type="button" class="button quiet" onClick={() => (findsByCode.value = false)}>{t.back}</button>
        </div>
      ) : (
        <>
          <button type="button" class="button quiet" onClick={() => (findsByCode.value = true)}><Icon name="scan" />{t.findByCode}</button>
          <div class="field">
            <label for={`${field}-reference`}>{t.reference}</label>
            <input id={`${field}-reference`} class="input" maxLength={BILL_REFERENCE_CHARACTERS_MAX} autocomplete="off" spellcheck={false} value={reference}
              onInput={(event) => set({ reference: event.currentTarget.value.trim() })} />
          </div>
          <div class="find-days">
            <div class="field">
              <label for={`${field}-from`}>{t.fromDay}</label>
              <input id={`${field}-from`} class="input" type="date" value={from} onInput={(event) => set({ from: event.currentTarget.value })} />
            </div>
            <div class="field">
              <label for={`${field}-to`}>{t.toDay}</label>
              <input id={`${field}-to`} class="input" type="date" value={to} onInput={(event) => set({ to: event.currentTarget.value })} />
            </div>
          </div>
          {(own?.outlets.length ?? 0) > 1 && (
            <div class="field">
              <label for={`${field}-outlet`}>{t.outlet}</label>
              <select id={`${field}-outlet`} class="input" value={outlet} onChange={(event) => set({ outlet: event.currentTarget.value })}>
                <option value="">{t.allOutlets}</option>
                {own?.outlets.map((each) => <option key={each.outlet_id} value={each.outlet_id}>{named(each.name, each.outlet_id)}</option>)}
              </select>
            </div>
          )}
          <button class="button"><Icon name="search" />{t.find}</button>
          <p class="small soft">{t.listedFor(whole(30))}</p>
        </>
      )}
    </form>
  )
}

