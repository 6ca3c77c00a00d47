/**
 * The member's codes: always one to show, the next ones fetched ahead.
 *
 * Guarantees: a code is shown only before it runs out and never again once it is known to be used; codes for the next
 * minute and a half are at hand while the network is there, so its loss for that long is not noticed at the till; no
 * code is kept anywhere but in memory. Without network and codes, an enrolled device signs its own (device.ts).
 */
import { computed, effect, signal } from '@preact/signals'

import { gatewayNow, learnTime, now } from './clock'
import { device, offlineCode, type OfflineCode } from './device'
import { asMember, reached, session } from './member'
import type { IssuedCode } from './types'

const AHEAD = 5
const FEW = 3
const RETRY_MS = { first: 1_000, most: 10_000 }
const FETCH_TIMEOUT_MS = 5_000
const REFRESH_EVERY_MS = 20_000

export interface Code extends IssuedCode {
  expiresMs: number
  refreshMs: number
}

const queue = signal<Code[]>([])
export const fetching = signal(false)
/** The gateway refused to give codes, and why (a blocked member, every code of the next seconds used). */
export const refusal = signal<string | null>(null)
const offline = signal<OfflineCode | null>(null)
let failures = 0
let notBefore = 0
/** When the codes end that are known to be used: an answer that was on its way may still bring one. */
let used: number[] = []
let wanted = false

/** Of the codes at hand the first whose turn is not over; the last one is shown until it runs out. */
const online = computed(() => {
  const usable = queue.value.filter((code) => code.expiresMs > now.value + 1_000)
  return usable.find((code) => code.refreshMs > now.value) ?? usable.at(-1) ?? null
})

export type Shown =
  | { form: 'online'; code: string; digits: string; untilMs: number; fromMs: number; ahead: number }
  | { form: 'offline'; code: string; untilMs: number; fromMs: number }
  | null

export const shown = computed<Shown>(() => {
  const code = online.value
  if (code) {
    const isLast = queue.value.at(-1) === code
    const untilMs = isLast && now.value >= code.refreshMs ? code.expiresMs : code.refreshMs
    const ahead = queue.value.length - 1 - queue.value.indexOf(code)
    return { form: 'online', code: code.code, digits: code.digits, untilMs, fromMs: untilMs - REFRESH_EVERY_MS, ahead }
  }
  if (offline.value && offline.value.untilMs > now.value) return { form: 'offline', ...offline.value }
  return null
})

/**
 * Fetches codes ahead. One at a time; a failure makes the next attempt wait a little longer. `fresh`: the one that is
 * shown goes as well.
 */
export async function fetchCodes(fresh = false): Promise<void> {
  const credential = session.current.peek()?.credential
  if (!credential) return
  if (fetching.peek()) {
    wanted ||= fresh
    return
  }
  fetching.value = true
  try {
    const answer = await asMember<{ codes: IssuedCode[] }>('POST', '/v1/me/codes', { count: AHEAD }, FETCH_TIMEOUT_MS)
    if (session.current.peek()?.credential !== credential) return // another member's by now
    if (answer.kind === 'answered') {
      const codes = answer.body.codes.map(read).filter((code) => !isUsed(code))
      failures = 0
      refusal.value = null
      const first = codes[0]
      // A fresh code's turn is 20 s; where it seems to be much more or less, this device's clock is off.
      if (first && Math.abs(first.refreshMs - gatewayNow() - REFRESH_EVERY_MS) > 5_000) learnTime(first.refreshMs - REFRESH_EVERY_MS)
      const showing = online.peek()
      // The one that may be in front of a scanner at this moment stays until its turn is over.
      const left = showing ? showing.refreshMs - gatewayNow() : 0
      const stays = showing && left > 0 && left <= REFRESH_EVERY_MS && !fresh
      queue.value = stays ? [showing, ...codes.filter((code) => code.expiresMs > showing.expiresMs)] : codes
    } else {
      refusal.value = answer.kind === 'refused' ? answer.problem.operator_hint : null
      const wait = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(failures++, 4))
      notBefore = Date.now() + wait
    }
  } finally {
    fetching.value = false
  }
  if (wanted) {
    wanted = false
    void fetchCodes(true)
  }
}

function read(code: IssuedCode): Code {
  return { ...code, expiresMs: Date.parse(code.expires_at), refreshMs: Date.parse(code.refresh_at) }
}

function isUsed(code: Code): boolean {
  return used.some((instant) => Math.abs(instant - code.expiresMs) < 1_000)
}

/** The code that ends at this instant was used: it is gone at once, and fresh ones are asked for. */
export function codeUsed(expiresAt: string): void {
  used = [...used.filter((instant) => instant > gatewayNow()), Date.parse(expiresAt)]
  queue.value = queue.peek().filter((code) => !isUsed(code))
  void fetchCodes(true)
}

/** The member asks for another one. */
export function anotherCode(): void {
  queue.value = queue.peek().slice(1)
  notBefore = 0
  void fetchCodes(true)
}

export function forgetCodes(): void {
  queue.value = []
  used = []
  wanted = false
  offline.value = null
  refusal.value = null
  failures = 0
  notBefore = 0
}

/** Whether the code shown is among the last ones at hand and no fresh ones come. */
export const runningOut = computed(() => reached.value === false && shown.value?.form === 'online' && shown.value.ahead === 0)

effect(() => {
  const at = now.value
  if (!session.current.value || fetching.value || Date.now() < notBefore) return
  const ahead = queue.value.filter((code) => code.refreshMs > at).length
  if (ahead < FEW) void fetchCodes()
})

effect(() => {
  const at = now.value
  const enrolled = device.value
  if (online.value || !enrolled) return
  if (offline.peek() && offline.peek()!.untilMs > at) return
  void offlineCode(enrolled, at).then((made) => (offline.value = made))
})

window.addEventListener('online', () => {
  notBefore = 0
  void fetchCodes()
})
