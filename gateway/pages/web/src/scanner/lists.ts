/**
 * Redemptions of this business, asked of the gateway: the latest of this outlet, open holds by deadline, and what is
 * looked for. Whatever till made them, this one can end them.
 */
import { signal } from '@preact/signals'

import { call, type Problem } from '../shared/api'
import { beep } from './beep'
import { session, terminal } from './till'
import type { Group, Redemption, RedemptionPage } from './types'

export type Tab = 'latest' | 'holds' | 'find'

export interface List {
  redemptions: readonly Redemption[]
  next: string | null
  /** Refused, or no answer. */
  fault: Pick<Problem, 'operator_hint'> | 'unreachable' | null
  isLoading: boolean
}

export interface Wanted {
  reference: string
  from: string
  to: string
  outlet: string
}

const NONE: List = { redemptions: [], next: null, fault: null, isLoading: false }
export const NOTHING_WANTED: Wanted = { reference: '', from: '', to: '', outlet: '' }

export const tab = signal<Tab>('latest')
export const lists = { latest: signal<List>(NONE), holds: signal<List>(NONE), find: signal<List | null>(null) }
export const wanted = signal<Wanted>(NOTHING_WANTED)
/** The next code that is scanned finds a member's redemptions instead of starting a sale. */
export const findsByCode = signal(false)
export const group = signal<Group | null>(null)

/** What the list that is shown was asked with; a page more goes on with the same. */
let asked: { path: string; body?: object } = { path: '' }

function credential(): string | undefined {
  return session.current.peek()?.credential
}

async function load(into: Tab, question: { path: string; body?: object }, cursor: string | null): Promise<void> {
  const list = lists[into]
  const before = cursor === null ? [] : (list.peek()?.redemptions ?? [])
  list.value = { ...(list.peek() ?? NONE), isLoading: true, fault: null }
  const answer = question.body
    ? await call<RedemptionPage>('POST', question.path, { credential: credential(), body: cursor ? { ...question.body, cursor } : question.body })
    : await call<RedemptionPage>('GET', cursor ? `${question.path}&cursor=${cursor}` : question.path, { credential: credential() })
  if (answer.kind === 'answered') {
    const known = new Set(before.map((each) => each.redemption_id))
    const more = answer.body.redemptions.filter((each) => !known.has(each.redemption_id))
    list.value = { redemptions: [...before, ...more], next: answer.body.next_cursor, fault: null, isLoading: false }
  } else {
    const fault = answer.kind === 'refused' ? answer.problem : 'unreachable'
    list.value = { ...(list.peek() ?? NONE), fault, isLoading: false }
  }
}

const PATHS = {
  latest: () => `/v1/redemptions?limit=20&outlet=${terminal.peek()?.outlet.outlet_id ?? ''}`,
  holds: () => '/v1/redemptions?limit=20&status=held',
}

/** Reads the first page of the tab again; of what was found, nothing: that is asked for. */
export async function refreshList(which: Tab = tab.peek()): Promise<void> {
  if (which !== 'find' && terminal.peek()) await load(which, { path: PATHS[which]() }, null)
}

export async function more(which: Tab): Promise<void> {
  const next = lists[which].peek()?.next
  if (!next) return
  await load(which, which === 'find' ? asked : { path: PATHS[which]() }, next)
}

/** By what was written down of a bill. */
export async function find(): Promise<void> {
  const { reference, from, to, outlet } = wanted.peek()
  const parameters = new URLSearchParams({ limit: '20' })
  for (const [name, value] of Object.entries({ bill_reference: reference, from, to, outlet })) if (value !== '') parameters.set(name, value)
  asked = { path: `/v1/redemptions?${parameters}` }
  lists.find.value = NONE
  await load('find', asked, null)
}

/** By the code of a member, which is not used up. */
export async function findByCode(code: string): Promise<void> {
  findsByCode.value = false
  tab.value = 'find'
  asked = { path: '/v1/redemptions/search', body: { code, limit: 20 } }
  lists.find.value = NONE
  await load('find', asked, null)
  beep(lists.find.peek()?.fault ? 'bad' : 'read')
}

/** One redemption as it stands now, put into every list that shows it. */
export async function readOne(id: string): Promise<Redemption | null> {
  const answer = await call<Redemption>('GET', `/v1/redemptions/${id}`, { credential: credential() })
  if (answer.kind !== 'answered') return null
  changed(answer.body)
  return answer.body
}

/** A redemption stands otherwise than the lists say. */
export function changed(redemption: Redemption): void {
  for (const list of Object.values(lists)) {
    const now = list.peek()
    if (!now) continue
    const replaced = now.redemptions.map((each) => (each.redemption_id === redemption.redemption_id ? { ...each, ...redemption } : each))
    list.value = { ...now, redemptions: list === lists.holds ? replaced.filter((each) => each.status === 'held') : replaced }
  }
}

/** Names of outlets and benefits; ids stand for themselves until they are known. */
export async function readGroup(): Promise<void> {
  const answer = await call<Group>('GET', '/v1/group', {})
  if (answer.kind === 'answered') group.value = answer.body
}

export function forgetLists(): void {
  lists.latest.value = NONE
  lists.holds.value = NONE
  lists.find.value = null
  wanted.value = NOTHING_WANTED
  findsByCode.value = false
  tab.value = 'latest'
}
