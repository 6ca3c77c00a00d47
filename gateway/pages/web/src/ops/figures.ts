/** The live figures of the page: the stream, the hour before it, the last refusals; and pausing, which stops the looks only. */
import { effect, signal } from '@preact/signals'

import { call } from '../shared/api'
import { openEvents, type EventStream, type StreamState } from '../shared/event_stream'
import { language } from '../shared/language'
import { sessionOf } from '../shared/session'
import { Series } from './series'
import type { RefusalsAnswer, Refused, SeriesAnswer, Snapshot } from './types'

export const REFUSALS_MAX = 200

export const session = sessionOf('operations')
export const liveState = signal<StreamState>('closed')
export const paused = signal(false)
export const snapshot = signal<Snapshot | null>(null)
export const refusals = signal<readonly Refused[]>([])
/** Raised when the charts have something new to draw. */
export const drawn = signal(0)
export const series = { current: new Series() }

let stream: EventStream | null = null
let newest: Snapshot | null = null
let waiting: Refused[] = []

effect(() => {
  const credential = session.current.value?.credential
  void language.value // names and titles come in the language of the page
  stream?.close()
  stream = null
  liveState.value = 'closed'
  if (!credential) return
  const opened = openEvents('/v1/ops/events', {
    credential,
    silenceMs: 20_000,
    whileHidden: true,
    onEvent({ event, data }) {
      if (event === 'snapshot') take(JSON.parse(data) as Snapshot)
      else if (event === 'refusals') keep((JSON.parse(data) as { refusals: Refused[] }).refusals)
      else if (event === 'end' && (JSON.parse(data) as { reason: string }).reason === 'revoked') signOut()
    },
    onOpen: () => void load(credential),
  })
  stream = opened
  return opened.state.subscribe((state) => {
    liveState.value = state
    if (state === 'refused') signOut()
  })
})

const AGAIN_MS = { first: 1_000, most: 30_000 }
let failures = 0
let again: number | undefined

/** The hour before and the last refusals; what does not come is asked for again while the stream is open. */
async function load(credential: string): Promise<void> {
  window.clearTimeout(again)
  const [hour, last] = await Promise.all([
    call<SeriesAnswer>('GET', '/v1/ops/series?minutes=60', { credential }),
    call<RefusalsAnswer>('GET', '/v1/ops/refusals?limit=100', { credential }),
  ])
  if (hour.kind === 'answered') {
    const filled = new Series()
    filled.fill(hour.body)
    series.current = filled
    newest = null
    drawn.value += 1
  }
  if (last.kind === 'answered') refusals.value = newestFirst([...refusals.peek(), ...last.body.refusals])
  if (hour.kind === 'answered' && last.kind === 'answered') {
    failures = 0
    return
  }
  const pause = Math.min(AGAIN_MS.most, AGAIN_MS.first * 2 ** Math.min(failures++, 5))
  again = window.setTimeout(() => {
    if (session.current.peek()?.credential === credential && liveState.peek() === 'open') void load(credential)
  }, pause)
}

function take(found: Snapshot): void {
  series.current.add(found, newest)
  newest = found
  if (paused.peek()) return
  snapshot.value = found
  drawn.value += 1
}

function keep(found: readonly Refused[]): void {
  waiting = [...[...found].reverse(), ...waiting].slice(0, REFUSALS_MAX)
  if (paused.peek()) return
  refusals.value = newestFirst([...waiting, ...refusals.peek()])
  waiting = []
}

/** One that the stream told may stand in the list that was asked for as well: it is shown once. */
function newestFirst(found: readonly Refused[]): Refused[] {
  const once = new Map(found.map((each) => [`${each.at} ${each.terminal_id} ${each.code} ${each.path}`, each]))
  return [...once.values()].sort((a, b) => b.at.localeCompare(a.at)).slice(0, REFUSALS_MAX)
}

/** What went on meanwhile is shown at once when the looks go on. */
export function pause(on: boolean): void {
  paused.value = on
  if (on) return
  if (newest) snapshot.value = newest
  keep([])
  drawn.value += 1
}

export function signOut(): void {
  window.clearTimeout(again)
  session.end()
  snapshot.value = null
  refusals.value = []
  series.current = new Series()
  newest = null
}
