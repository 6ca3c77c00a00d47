/** The member who is signed in and what the API says of them. One place asks; the views follow the signals. */
import { computed, effect, signal } from '@preact/signals'

import { call, type Answered } from '../shared/api'
import { named } from '../shared/format'
import { language } from '../shared/language'
import { sessionOf } from '../shared/session'
import { tierName } from '../shared/texts'
import type { Activity, ActivityAnswer, Benefit, Group, Me, MyBenefitsAnswer } from './types'

export const session = sessionOf('member')
export const me = signal<Me | null>(null)
export const benefits = signal<Benefit[] | null>(null)
export const activity = signal<Activity[] | null>(null)
export const olderThan = signal<string | null>(null)
/** Whether the last call reached the gateway; null before the first. */
export const reached = signal<boolean | null>(navigator.onLine ? null : false)

/** When the member's data on the screen was told, in milliseconds since the epoch; null before there is any. */
export const loadedAt = signal<number | null>(null)
/** The last look did not bring everything. */
const behind = signal(false)
/** What is shown may be old: the page says of when it is. */
export const stale = computed(() => reached.value === false || behind.value)

const group = signal<Group | null>(null)
const businessNames = computed(() => new Map(group.value?.businesses.map((each) => [each.business_id, each.name]) ?? []))
const tierNames = computed(() => new Map(group.value?.tiers.map((each) => [each.tier, each.name]) ?? []))
const PAGE = 20
const KEPT_ME = 'tong.member.seen'
const KEPT_COPY = 'tong.member.copy'
/** How far this tab has read the member's notices: another member begins at the present. */
export const KEPT_POSITION = 'tong.member.position'

export function businessName(id: string): string {
  return named(businessNames.value.get(id), id)
}

/** The currency in which a business's benefits are put. */
export function currencyOf(business: string): string {
  return group.value?.businesses.find((each) => each.business_id === business)?.currency ?? 'CNY'
}

export function levelName(tier: string): string {
  return named(tierNames.value.get(tier), tierName(tier))
}

// How often the system said that the network went: an answer to a call begun before that says nothing of now.
let losses = 0

/** A call as the member. A refused token signs out; whether the gateway was reached is noted. */
export async function asMember<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, timeoutMs?: number): Promise<Answered<T>> {
  const credential = session.current.peek()?.credential
  const before = losses
  const answer = await call<T>(method, path, { credential, body, ...(timeoutMs ? { timeoutMs } : {}) })
  if (losses === before) reached.value = answer.kind !== 'unreachable'
  if (answer.kind === 'refused' && answer.problem.code === 'unauthenticated' && session.current.peek()?.credential === credential) signOut()
  return answer
}

/** Each returns whether the answer came and is shown. */
export async function loadMe(): Promise<boolean> {
  const answer = await asMember<Me>('GET', '/v1/me')
  if (answer.kind !== 'answered') return false
  me.value = answer.body
  loadedAt.value = Date.now()
  // So that the page shows whose it is when it opens without network; names are masked by the gateway.
  const { display_name, tier } = answer.body
  localStorage.setItem(KEPT_ME, JSON.stringify({ display_name, tier }))
  return true
}

export async function loadBenefits(): Promise<boolean> {
  const answer = await asMember<MyBenefitsAnswer>('GET', '/v1/me/benefits')
  if (answer.kind !== 'answered') return false
  benefits.value = answer.body.benefits
  return true
}

export async function loadActivity(): Promise<boolean> {
  const answer = await asMember<ActivityAnswer>('GET', `/v1/me/activity?limit=${PAGE}`)
  if (answer.kind !== 'answered') return false
  activity.value = answer.body.activity
  olderThan.value = answer.body.next_cursor
  return true
}

export async function loadOlder(): Promise<void> {
  const cursor = olderThan.peek()
  if (cursor === null) return
  const answer = await asMember<ActivityAnswer>('GET', `/v1/me/activity?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`)
  if (answer.kind !== 'answered') return
  activity.value = [...(activity.peek() ?? []), ...answer.body.activity]
  olderThan.value = answer.body.next_cursor
}

export async function loadGroup(): Promise<boolean> {
  const answer = await asMember<Group>('GET', '/v1/group')
  if (answer.kind !== 'answered') return false
  group.value = answer.body
  return true
}

const AGAIN_MS = { first: 1_000, most: 30_000 }
let failures = 0
let again: number | undefined

/**
 * Loads everything that the page shows. What does not come is asked for again, with growing pauses, until it is there or
 * nobody is signed in any more; `retryNow` does not wait for the pause.
 */
export async function loadAll(): Promise<void> {
  window.clearTimeout(again)
  const credential = session.current.peek()?.credential
  if (!credential) return
  const came = await Promise.all([loadGroup(), loadMe(), loadBenefits(), loadActivity()])
  if (session.current.peek()?.credential !== credential) return
  behind.value = came.includes(false)
  if (!behind.peek()) {
    failures = 0
    return
  }
  const pause = Math.min(AGAIN_MS.most, AGAIN_MS.first * 2 ** Math.min(failures++, 5))
  window.clearTimeout(again)
  again = window.setTimeout(() => void loadAll(), pause * (0.5 + Math.random() / 2))
}

export function retryNow(): void {
  failures = 0
  void loadAll()
}

/**
 * The last copy of what is shown, for a reload without network. It lies beside the credential in sessionStorage, so it is
 * gone with the tab and at sign-out, and only that credential brings it back.
 */
interface Copy {
  of: string
  at: number
  me: Me
  benefits: Benefit[] | null
  activity: Activity[] | null
  group: Group | null
}

function restore(): void {
  const credential = session.current.peek()?.credential
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT_COPY) ?? 'null') as Copy | null
    if (!kept || kept.of !== credential) return
    me.value = kept.me
    benefits.value = kept.benefits
    activity.value = kept.activity
    group.value = kept.group
    loadedAt.value = kept.at
  } catch {
    sessionStorage.removeItem(KEPT_COPY) // of an older page
  }
}
restore()

effect(() => {
  const credential = session.current.value?.credential
  if (!credential || !me.value || loadedAt.value === null) return
  const copy: Copy = {
    of: credential,
    at: loadedAt.value,
    me: me.value,
    benefits: benefits.value,
    activity: activity.value?.slice(0, PAGE) ?? null,
    group: group.value,
  }
  try {
    sessionStorage.setItem(KEPT_COPY, JSON.stringify(copy))
  } catch {
    sessionStorage.removeItem(KEPT_COPY) // no room: the page works without
  }
})

/** Who used this device last, for the page without network. */
export function lastSeen(): { display_name: string; tier: string } | null {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT_ME) ?? 'null')
    if (typeof found === 'object' && found !== null && 'display_name' in found && 'tier' in found)
      return { display_name: String(found.display_name), tier: String(found.tier) }
  } catch {
    localStorage.removeItem(KEPT_ME)
  }
  return null
}

/** Nothing of the member stays in this browser but, where a device was enrolled, its key. */
export function signOut(): void {
  window.clearTimeout(again)
  sessionStorage.removeItem(KEPT_POSITION)
  sessionStorage.removeItem(KEPT_COPY)
  session.end()
  me.value = null
  benefits.value = null
  activity.value = null
  olderThan.value = null
  loadedAt.value = null
  behind.value = false
  failures = 0
}

/** As `signOut`, because the member wants it: the next one at this device is not told who it was. */
export function leave(): void {
  localStorage.removeItem(KEPT_ME)
  signOut()
}

window.addEventListener('offline', () => {
  losses += 1
  reached.value = false
})
window.addEventListener('online', retryNow)

// Names and explanations come in the language of the page.
effect(() => {
  void language.value
  if (session.current.peek() && me.peek()) void Promise.all([loadBenefits(), loadActivity()])
})
