/** The member who is signed in and what the API says of them. One place asks; the views follow the signals. */
import { computed, effect, signal } from '@preact/signals'

import { call, type Answered } from '../shared/api'
import { named } from '../shared/format'
import { language } from '../shared/language'
import { sessionOf } from '../shared/session'
import { tierName } from '../shared/texts'
import type { Activity, Benefit, Group, Me } from './types'

export const session = sessionOf('member')
export const me = signal<Me | null>(null)
export const benefits = signal<Benefit[] | null>(null)
export const activity = signal<Activity[] | null>(null)
export const olderThan = signal<string | null>(null)
/** Whether the last call reached the gateway; null before the first. */
export const reached = signal<boolean | null>(navigator.onLine ? null : false)

const group = signal<Group | null>(null)
const businessNames = computed(() => new Map(group.value?.businesses.map((each) => [each.business_id, each.name]) ?? []))
const tierNames = computed(() => new Map(group.value?.tiers.map((each) => [each.tier, each.name]) ?? []))
const PAGE = 20
const KEPT_ME = 'tong.member.seen'
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

export async function loadMe(): Promise<void> {
  const answer = await asMember<Me>('GET', '/v1/me')
  if (answer.kind !== 'answered') return
  me.value = answer.body
  // So that the page shows whose it is when it opens without network; names are masked by the gateway.
  const { display_name, tier } = answer.body
  localStorage.setItem(KEPT_ME, JSON.stringify({ display_name, tier }))
}

export async function loadBenefits(): Promise<void> {
  const answer = await asMember<{ benefits: Benefit[] }>('GET', '/v1/me/benefits')
  if (answer.kind === 'answered') benefits.value = answer.body.benefits
}

export async function loadActivity(): Promise<void> {
  const answer = await asMember<ActivityPage>('GET', `/v1/me/activity?limit=${PAGE}`)
  if (answer.kind !== 'answered') return
  activity.value = answer.body.activity
  olderThan.value = answer.body.next_cursor
}

export async function loadOlder(): Promise<void> {
  const cursor = olderThan.peek()
  if (cursor === null) return
  const answer = await asMember<ActivityPage>('GET', `/v1/me/activity?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`)
  if (answer.kind !== 'answered') return
  activity.value = [...(activity.peek() ?? []), ...answer.body.activity]
  olderThan.value = answer.body.next_cursor
}

interface ActivityPage {
  activity: Activity[]
  next_cursor: string | null
}

export async function loadGroup(): Promise<void> {
  const answer = await asMember<Group>('GET', '/v1/group')
  if (answer.kind === 'answered') group.value = answer.body
}

export async function loadAll(): Promise<void> {
  await Promise.all([loadGroup(), loadMe(), loadBenefits(), loadActivity()])
}

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

export function signOut(): void {
  sessionStorage.removeItem(KEPT_POSITION)
  session.end()
  me.value = null
  benefits.value = null
  activity.value = null
  olderThan.value = null
}

window.addEventListener('offline', () => {
  losses += 1
  reached.value = false
})
window.addEventListener('online', () => void loadMe())

// Names and explanations come in the language of the page.
effect(() => {
  void language.value
  if (session.current.peek() && me.peek()) void Promise.all([loadBenefits(), loadActivity()])
})
