/**
 * Calls of the gateway. An answer is a value of one of three kinds; nothing is thrown for what can happen on a network.
 *
 *   answered     2xx with its body
 *   refused      a problem document (RFC 9457): `problem.outcome` says whether anything can have been applied
 *   unreachable  no answer came: no network, or the time was up. Whether the call arrived is not known
 */
import type { ProblemAnswer } from './described'
import { language } from './language'

/** Every other member of the document may stand beside those that are described. */
export type Problem = ProblemAnswer & Record<string, unknown>

export type Answered<T> =
  | { kind: 'answered'; status: number; body: T; replayed: boolean }
  | { kind: 'refused'; problem: Problem; retryAfterSeconds: number | null }
  | { kind: 'unreachable'; timedOut: boolean }

export interface Call {
  /** The bearer: an access token, a terminal's key or an admin's key. */
  credential?: string | undefined
  body?: unknown
  idempotencyKey?: string
  timeoutMs?: number
  signal?: AbortSignal
}

export const TIMEOUT_MS = 10_000

export async function call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, options: Call = {}): Promise<Answered<T>> {
  const headers = new Headers({ accept: 'application/json', 'accept-language': language.peek() })
  if (options.credential) headers.set('authorization', `Bearer ${options.credential}`)
  if (options.idempotencyKey) headers.set('idempotency-key', options.idempotencyKey)
  const timeUp = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
  const request: RequestInit = {
    method,
    headers,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: options.signal ? AbortSignal.any([options.signal, timeUp]) : timeUp,
  }
  if (options.body !== undefined) {
    headers.set('content-type', 'application/json')
    request.body = JSON.stringify(options.body)
  }
  try {
    const response = await fetch(path, request)
    const text = await response.text()
    const body: unknown = text === '' ? null : JSON.parse(text)
    if (response.ok) {
      const replayed = response.headers.get('idempotency-replayed') === 'true'
      return { kind: 'answered', status: response.status, body: body as T, replayed }
    }
    if (isProblem(body)) {
      const after = Number(response.headers.get('retry-after'))
      return { kind: 'refused', problem: body, retryAfterSeconds: after > 0 ? after : null }
    }
    return { kind: 'unreachable', timedOut: false }
  } catch {
    // A network fault, the time limit, or an answer of something that is not the gateway: all the same to the caller.
    return { kind: 'unreachable', timedOut: timeUp.aborted }
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'outcome' in body && 'retry' in body
}

/** A key for one attempt and all its retries: 128 random bits. */
export function newIdempotencyKey(prefix: string): string {
  return `${prefix}-${crypto.randomUUID()}`
}
