/**
 * What this till is doing, and every call it makes. One rule holds all of it together: a key is made and written down
 * before the first attempt, and what is not known is asked again with the same key or cancelled, never scanned anew.
 */
import { computed, signal } from '@preact/signals'

import { call, newIdempotencyKey, type Answered, type Problem } from '../shared/api'
import { sessionOf } from '../shared/session'
import { EMPTY, basketOf, fitted, isEmpty, legsOf, type Basket } from './basket/basket'
import { beep } from './beep'
import { linesOf, only, parts, shareOf } from './basket/bill_parts'
import { attempts, attemptOf, begin, beginStep, change, endStep, stepOn, unsettledOf, type Attempt, type Refusal, type Step } from './journal'
import type { BilledBasket, Bill, CancelAnswer, Leg, Prepared, Reason, Redemption, Scan, Terminal } from './types'
import { endOfDay } from './zone'

/**
 * ready    bill and code are entered      basket   who it is and what is used     working  a call is on its way
 * outcome  what came of it                unknown  nobody knows yet: ask again or cancel
 */
export type Screen = 'ready' | 'basket' | 'working' | 'outcome' | 'unknown'

const TERMINAL_KEPT_AS = 'tong.scanner.terminal'

export const session = sessionOf('terminal')
/** Kept for the tab, so that a reload without network still knows which till this is. */
export const terminal = signal<Terminal | null>(readKeptTerminal())
export const screen = signal<Screen>('ready')
export const billMinor = signal(0)
export const reference = signal('')
/** The number of the hotel stay that the bill belongs to. */
export const stay = signal('')
export const code = signal('')
export const prepared = signal<Prepared | null>(null)
export const basket = signal<Basket>(EMPTY)
/**
 * What the basket comes to, as the gateway says: nothing here computes a saving. `asked`: on its way. `failed`: it could
 * not be asked, so the sum is known only once the scan is confirmed.
 */
export type Pricing =
  | { state: 'asked' }
  | { state: 'priced'; values: readonly number[]; bill: BilledBasket | null }
  | { state: 'refused'; reason: Reason }
  | { state: 'failed'; hint: string | null }
export const pricing = signal<Pricing>({ state: 'asked' })
export const hold = signal(false)
/** The last day of a hold at the outlet (`2026-12-03`); null: the group's short hold. */
export const holdDay = signal<string | null>(null)
/** An input method swallowed what a scanner typed. */
export const swallowed = signal(false)
/** Why the last prepare was refused; shown where the code is scanned. */
export const notTaken = signal<Pick<Problem, 'code' | 'title' | 'detail' | 'operator_hint' | 'retry'> | 'unreachable' | null>(null)
/** The attempt that the screens `working`, `outcome` and `unknown` are about. */
export const currentKey = signal<string | null>(null)
export const current = computed(() => attempts.value.find((each) => each.key === currentKey.value) ?? null)
/** A call of the unknown screen or of a sheet is on its way. */
export const asking = signal(false)

const ASK_AGAIN_MS = [600, 1_500, 3_000]
const VERIFY_MS = 6_000
const PREPARE_MS = 6_000
/** A basket is priced once the taps pause, so that a stepper held down is one question. */
const PRICE_PAUSE_MS = 150
const FITS_MAX = 3

export const currency = computed(() => terminal.value?.business.currency ?? 'CNY')

function credential(): string | undefined {
  return session.current.peek()?.credential
}

function readKeptTerminal(): Terminal | null {
  return JSON.parse(sessionStorage.getItem(TERMINAL_KEPT_AS) ?? 'null') as Terminal | null
}

export function signedIn(at: Terminal): void {
  sessionStorage.setItem(TERMINAL_KEPT_AS, JSON.stringify(at))
  terminal.value = at
}

export function signOut(): void {
  sessionStorage.removeItem(TERMINAL_KEPT_AS)
  session.end()
  terminal.value = null
  currentKey.value = null
  screen.value = 'ready'
}

/** Which till a key is of; also how the sign-in checks it. */
export async function readTerminal(key: string): Promise<Answered<Terminal>> {
  return call<Terminal>('GET', '/v1/terminal', { credential: key })
}

/** After signing in and after a reload: first what is not settled, then the next customer. */
export async function open(): Promise<void> {
  const key = credential()
  if (!key) return
  const answer = await readTerminal(key)
  if (answer.kind === 'answered') signedIn(answer.body)
  else if (answer.kind === 'refused' && answer.problem.status === 401) {
    signOut()
    return
  }
  settleFirst()
}

/** Whether something has to be settled first; then it is what the page shows. */
export function settleFirst(): boolean {
  const at = terminal.peek()
  const open = at ? unsettledOf(at.terminal_id) : undefined
  if (!open || screen.peek() === 'working') return open !== undefined
  currentKey.value = open.key
  if (open.state === 'sent') change(open.key, { state: 'unknown' })
  screen.value = 'unknown'
  void askAgain(ASK_AGAIN_MS)
  return true
}

export function nextCustomer(): void {
  if (settleFirst()) return
  currentKey.value = null
  code.value = ''
  prepared.value = null
  basket.value = EMPTY
  hold.value = false
  holdDay.value = null
  notTaken.value = null
  swallowed.value = false
  billMinor.value = 0
  parts.value = []
  reference.value = ''
  stay.value = ''
  screen.value = 'ready'
}

/** Back to the code, with the bill as it was. */
export function scanAgain(): void {
  code.value = ''
  prepared.value = null
  notTaken.value = null
  screen.value = 'ready'
}

function bill(): Bill | undefined {
  if (billMinor.peek() === 0) return undefined
  if (reference.peek() === '') reference.value = newReference()
  const lines = linesOf(parts.peek(), billMinor.peek())
  const whole: Bill = { reference: reference.peek(), amount_minor: billMinor.peek(), currency: currency.peek() }
  if (stay.peek() !== '') whole.stay = stay.peek()
  return lines.length > 0 ? { ...whole, lines } : whole
}

function newReference(now = new Date()): string {
  const pad = (value: number, length = 2) => String(value).padStart(length, '0')
  const day = `${now.getFullYear()}${pad(now.getMonth() + 1)}${pad(now.getDate())}`
  const time = `${pad(now.getHours())}${pad(now.getMinutes())}${pad(now.getSeconds())}${pad(now.getMilliseconds(), 3)}`
  return `SCN-${day}-${time}`
}

/** A code was read: who is it, and what may be used. Reads only, so it may be repeated as often as one likes. */
export async function scanned(text: string): Promise<void> {
  if (screen.peek() !== 'ready' || settleFirst()) return
  await prepare(text.trim())
}

/** On the basket: the stay of the bill was told. Asked again with the same code; what was chosen stays chosen. */
export async function billChanged(): Promise<void> {
  if (screen.peek() !== 'basket' || code.peek() === '') return
  const before = basket.peek()
  await prepare(code.peek())
  if (!isEmpty(before)) choose(before)
}

/** On the basket: all of the bill is of this category. Asked again with the same code, which is not used up yet. */
export async function billIsFor(category: string): Promise<void> {
  if (screen.peek() !== 'basket' || code.peek() === '') return
  only(category)
  await prepare(code.peek())
}

async function prepare(text: string): Promise<void> {
  code.value = text
  notTaken.value = null
  swallowed.value = false
  screen.value = 'working'
  currentKey.value = null
  const wanted = bill()
  const body = wanted ? { code: code.peek(), bill: wanted } : { code: code.peek() }
  const answer = await call<Prepared>('POST', '/v1/prepare', { credential: credential(), body, timeoutMs: PREPARE_MS })
  if (answer.kind === 'answered') {
    prepared.value = answer.body
    const { proposed } = answer.body
    basket.value = wanted ? basketOf(proposed.legs) : EMPTY
    if (!wanted || proposed.legs.length === 0) pricing.value = { state: 'priced', values: [], bill: proposed.bill }
    else if (proposed.legs.length === 1) pricing.value = { state: 'priced', values: [proposed.saving_minor], bill: proposed.bill }
    else void price(0)
    screen.value = 'basket'
    beep('read')
    return
  }
  notTaken.value = answer.kind === 'refused' ? answer.problem : 'unreachable'
  screen.value = 'ready'
  beep('bad')
}

/** Another basket: shown at once, its sum as soon as the gateway has said it. */
export function choose(next: Basket): void {
  basket.value = next
  void price(PRICE_PAUSE_MS)
}

let question = 0

/** Asks what the basket comes to. What is more than the bill has room for is made less, and asked about again. */
async function price(pauseMs: number): Promise<void> {
  const mine = ++question
  pricing.value = { state: 'asked' }
  await new Promise((resume) => setTimeout(resume, pauseMs))
  for (let fits = 0; fits < FITS_MAX; fits++) {
    const wanted = bill()
    const legs = legsOf(basket.peek())
    const body = wanted ? { code: code.peek(), bill: wanted, legs } : { code: code.peek(), legs }
    if (mine !== question || screen.peek() !== 'basket') return
    const answer = await call<Prepared>('POST', '/v1/prepare', { credential: credential(), body, timeoutMs: PREPARE_MS })
    if (mine !== question || screen.peek() !== 'basket') return
    if (answer.kind !== 'answered') {
      pricing.value = { state: 'failed', hint: answer.kind === 'refused' ? answer.problem.operator_hint : null }
      return
    }
    const quote = answer.body.basket
    if (!quote) return
    const less = quote.reason ? fitted(answer.body, basket.peek(), legs, quote.reason) : null
    if (!less) {
      pricing.value = quote.reason
        ? { state: 'refused', reason: quote.reason }
        : { state: 'priced', values: quote.values_minor, bill: quote.bill }
      return
    }
    basket.value = less
  }
}

/** What the leg takes off, where the basket is priced. */
export function valueOf(kind: Leg['kind']): number | null {
  const now = pricing.value
  const index = legsOf(basket.value).findIndex((leg) => leg.kind === kind)
  return now.state === 'priced' ? (now.values[index] ?? null) : null
}

/** When a hold until the end of the day ends, Unix milliseconds; null for a short hold. */
export function holdEnds(day: string | null = holdDay.value): number | null {
  return day === null ? null : endOfDay(day, terminal.value?.time_zone ?? 'UTC')
}

function holdSeconds(): number | undefined {
  const ends = holdEnds(holdDay.peek())
  return ends === null ? undefined : Math.floor((ends - Date.now()) / 1000)
}

/** Confirms the basket. The attempt is written down with its key before it is sent. */
export async function confirm(options: { duplicate?: boolean } = {}): Promise<void> {
  const who = prepared.peek()
  const at = terminal.peek()
  if (!who || !at || code.peek() === '') return
  const wanted = bill()
  const legs = legsOf(basket.peek())
  const scan: Scan = { code: code.peek(), legs, capture: !hold.peek() }
  const seconds = hold.peek() ? holdSeconds() : undefined
  if (wanted) scan.bill = wanted
  if (seconds !== undefined) scan.hold_seconds = seconds
  if (options.duplicate) scan.confirm_duplicate = true
  const attempt: Attempt = {
    key: newIdempotencyKey('scn'),
    at: Date.now(),
    terminal: at.terminal_id,
    scan,
    memberName: who.member.display_name,
    state: 'sent',
  }
  begin(attempt)
  currentKey.value = attempt.key
  screen.value = 'working'
  await send(attempt.key)
}

async function send(key: string): Promise<boolean> {
  const attempt = attemptOf(key)
  if (!attempt || attempt.scan.code === undefined) return true
  const answer = await call<Redemption>('POST', '/v1/verify', {
    credential: credential(),
    body: attempt.scan,
    idempotencyKey: key,
    timeoutMs: VERIFY_MS,
  })
  if (answer.kind === 'answered') {
    change(key, { state: 'applied', redemption: answer.body })
    if (currentKey.peek() === key) screen.value = 'outcome'
    beep('good')
    return true
  }
  // Refused for now (busy, too many): nothing was applied, and the same key may be sent again.
  if (answer.kind === 'refused' && answer.problem.outcome === 'not_applied') {
    change(key, { state: 'refused', problem: answer.problem as Refusal })
    if (currentKey.peek() === key) screen.value = 'outcome'
    beep('bad')
    return true
  }
  change(key, { state: 'unknown' })
  if (currentKey.peek() === key) {
    const first = screen.peek() !== 'unknown'
    screen.value = 'unknown'
    if (first) {
      beep('bad')
      void askAgain(ASK_AGAIN_MS)
    }
  }
  return false
}

/** Asks again with the same key: at once, or by itself after each of these pauses until there is an answer. */
export async function askAgain(pauses: readonly number[] = [0]): Promise<void> {
  const key = currentKey.peek()
  if (!key || asking.peek()) return
  asking.value = true
  try {
    for (const pause of pauses) {
      await new Promise((resume) => setTimeout(resume, pause))
      if (currentKey.peek() !== key || attemptOf(key)?.state !== 'unknown' || (await send(key))) return
    }
  } finally {
    asking.value = false
  }
}

/** Sends a scan that was refused for the moment again, with its key: it may be that it is taken now. */
export async function tryAgain(): Promise<void> {
  const attempt = current.peek()
  if (!attempt || attempt.state !== 'refused' || code.peek() === '') return
  // Its code was dropped when it was decided; the page still has it.
  change(attempt.key, { state: 'sent', scan: { ...attempt.scan, code: code.peek() } })
  screen.value = 'working'
  await send(attempt.key)
}

/** Gives an unknown attempt up: undone where it had arrived, refused for ever where it comes late. */
export async function giveUp(): Promise<void> {
  const attempt = current.peek()
  if (!attempt || asking.peek() || attempt.scan.code === undefined) return
  asking.value = true
  const answer = await call<CancelAnswer>('POST', '/v1/cancel', {
    credential: credential(),
    body: { idempotency_key: attempt.key, code: attempt.scan.code },
  })
  asking.value = false
  if (answer.kind === 'answered') {
    const redemption = answer.body.redemption
    change(attempt.key, { state: 'cancelled', effect: answer.body.effect, ...(redemption ? { redemption } : {}) })
    screen.value = 'outcome'
    beep('good')
  } else if (answer.kind === 'refused' && answer.problem.outcome === 'not_applied' && answer.problem.retry === 'never') {
    change(attempt.key, { state: 'refused', problem: answer.problem as Refusal })
    screen.value = 'outcome'
  } else beep('bad')
}

/**
 * A step on a redemption: written down with its key, then sent; one that was not answered is sent again as it was. Gives
 * the redemption as it stands now, why it was refused, or that nobody answered.
 */
export async function step(
  redemption: Pick<Redemption, 'redemption_id' | 'member'>, wanted: Pick<Step, 'call' | 'body'> | null,
): Promise<{ redemption: Redemption } | { refused: string } | 'unreachable' | null> {
  const id = redemption.redemption_id
  const at = terminal.peek()
  if (asking.peek() || !at) return null
  const open = stepOn(id)
  const made: Step | undefined = open ?? (wanted
    ? { ...wanted, redemptionId: id, terminal: at.terminal_id, memberName: redemption.member.display_name, key: newIdempotencyKey(wanted.call) }
    : undefined)
  if (!made) return null
  if (!open) beginStep(made)
  asking.value = true
  const answer = await call<Redemption>('POST', `/v1/redemptions/${id}/${made.call}`, {
    credential: credential(),
    body: made.body,
    idempotencyKey: made.key,
  })
  asking.value = false
  if (answer.kind === 'answered') {
    endStep(made.key)
    beep('good')
    return { redemption: answer.body }
  }
  beep('bad')
  if (answer.kind === 'refused' && answer.problem.outcome === 'not_applied') {
    endStep(made.key)
    return { refused: answer.problem.operator_hint }
  }
  return 'unreachable'
}

export interface Earned {
  points: number
}

/** Points for what was paid. The key follows from the attempt's, so that asking twice earns once. */
export async function earn(attempt: Attempt): Promise<number | string | null> {
  const { redemption } = attempt
  if (!redemption?.bill) return null
  const { reference: of, amount_minor, payable_minor, currency: money } = redemption.bill
  const lines = shareOf(attempt.scan.bill?.lines ?? [], payable_minor, amount_minor)
  const answer = await call<Earned>('POST', '/v1/accruals', {
    credential: credential(),
    body: { member_id: redemption.member.member_id, bill: { reference: of, amount_minor: payable_minor, currency: money, lines } },
    idempotencyKey: `${attempt.key}-e`,
  })
  if (answer.kind === 'answered') return answer.body.points
  return answer.kind === 'refused' ? answer.problem.operator_hint : null
}
