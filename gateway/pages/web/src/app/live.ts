/** What happens to the member while the page is open: the event stream, and what the page does about it. */
import { effect, signal } from '@preact/signals'

import { openEvents, type EventStream, type StreamState } from '../shared/event_stream'
import { language } from '../shared/language'
import { attention } from './attention'
import { gatewayNow } from './clock'
import { codeUsed } from './codes'
import { KEPT_POSITION, loadActivity, loadAll, loadBenefits, loadMe, me, session, signOut, stale } from './member'
import type { Notice } from './types'

/** What stands on the screen until the member puts it away. */
export const happened = signal<Notice | null>(null)
/** What is said in a line and goes by itself. */
export const mentioned = signal<Notice | null>(null)
export const liveState = signal<StreamState>('closed')

const WORTH_A_SHEET = new Set<Notice['kind']>(['redeem', 'hold', 'identify', 'accrue', 'refund'])
/** What was missed longer ago than this is found in the history. */
const FRESH_MS = 600_000
const MENTION_MS = 6_000
let stream: EventStream | null = null
let mention: number | undefined

effect(() => {
  const credential = session.current.value?.credential
  void language.value // the words of a notice are in the language of the page
  stream?.close()
  stream = null
  liveState.value = 'closed'
  if (!credential) return
  const opened = openEvents('/v1/me/events', {
    credential,
    lastId: sessionStorage.getItem(KEPT_POSITION) ?? '',
    silenceMs: 40_000,
    onEvent({ event, data, id }) {
      if (id) sessionStorage.setItem(KEPT_POSITION, id)
      if (event === 'notice') take(JSON.parse(data) as Notice)
      else if (event === 'reset') void reload()
      else if (event === 'end' && (JSON.parse(data) as { reason: string }).reason === 'token_expired') signOut()
    },
    onOpen: () => void (stale.peek() ? loadAll() : loadMe()),
  })
  stream = opened
  const follow = opened.state.subscribe((state) => (liveState.value = state))
  return follow
})

function take(notice: Notice): void {
  if (notice.code?.form === 'scan') codeUsed(notice.code.expires_at)
  const balance = notice.balance
  const known = me.peek()
  if (balance && known) {
    const { points, points_held, points_owed, stored_value } = balance
    me.value = { ...known, balance: { points, points_held, points_owed, stored_value } }
  }
  void reload()
  const isFresh = !notice.missed || gatewayNow() - Date.parse(notice.at) < FRESH_MS
  if (!isFresh) return
  if (WORTH_A_SHEET.has(notice.kind)) {
    happened.value = notice
    attention(notice.kind === 'accrue' || notice.kind === 'refund' ? 'received' : 'taken')
  } else {
    mentioned.value = notice
    window.clearTimeout(mention)
    mention = window.setTimeout(() => (mentioned.value = null), MENTION_MS)
  }
}

let reloading: number | undefined
/** Balances, benefits and history as they are now; several notices at once make one look. */
async function reload(): Promise<void> {
  window.clearTimeout(reloading)
  reloading = window.setTimeout(() => void Promise.all([loadMe(), loadBenefits(), loadActivity()]), 150)
}
