/**
 * The till's journal: the last 50 attempts and how each stands, in localStorage.
 *
 * An attempt is written down with its key and body BEFORE it is sent. So a page that was reloaded, closed or crashed in
 * the middle of a call knows on its return what it has to ask again, with the same key. What was decided forgets its
 * code; the key of the terminal never stands here.
 */
import { signal } from '@preact/signals'

import type { Problem } from '../shared/api'
import type { Redemption, Scan } from './types'

/**
 * sent      written down, on its way or never answered
 * unknown   asked and not answered: the same key will tell
 * applied   201: captured or held, and what became of it since (`redemption.status`)
 * refused   a problem document that says "not applied"
 * cancelled given up: undone, or never applied at all
 */
export type State = 'sent' | 'unknown' | 'applied' | 'refused' | 'cancelled'

export interface Attempt {
  key: string
  at: number
  terminal: string
  /** Without its code once it is decided. */
  scan: Omit<Scan, 'code'> & { code?: string }
  memberName: string
  state: State
  redemption?: Redemption
  problem?: Pick<Problem, 'code' | 'title' | 'detail' | 'operator_hint' | 'retry'>
  effect?: 'reversed' | 'tombstoned'
  /** A step on the redemption that was written down and not answered yet: capture, void, refund with their key. */
  step?: Step | undefined
}

export interface Step {
  call: 'capture' | 'void' | 'refund'
  key: string
  body: unknown
}

export const KEPT_MAX = 50
const KEPT_AS = 'tong.scanner.journal'

export const attempts = signal<readonly Attempt[]>(read())

/** What a till has to settle before it scans anything else: nobody knows yet whether it was applied. */
export function unsettledOf(terminal: string): Attempt | undefined {
  return attempts.peek().find((each) => each.terminal === terminal && (each.state === 'sent' || each.state === 'unknown'))
}

function read(): Attempt[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT_AS) ?? '[]')
    return Array.isArray(found) ? (found as Attempt[]) : []
  } catch {
    return []
  }
}

/** Writes first and shows afterwards. Throws where nothing can be kept: then nothing may be sent either. */
function keep(list: readonly Attempt[]): void {
  // What is not settled is never pushed out by what is.
  const open = list.filter((each) => each.state === 'sent' || each.state === 'unknown')
  const rest = list.filter((each) => !open.includes(each)).slice(0, Math.max(0, KEPT_MAX - open.length))
  const kept = list.filter((each) => open.includes(each) || rest.includes(each))
  localStorage.setItem(KEPT_AS, JSON.stringify(kept))
  attempts.value = kept
}

export function begin(attempt: Attempt): void {
  keep([attempt, ...attempts.peek()])
}

/** Changes what is known of an attempt. A decided one loses its code. */
export function change(key: string, changes: Partial<Attempt>): void {
  keep(
    attempts.peek().map((each) => {
      if (each.key !== key) return each
      const changed = { ...each, ...changes }
      if (changed.state !== 'sent' && changed.state !== 'unknown') {
        const { code: _, ...rest } = changed.scan
        changed.scan = rest
      }
      return changed
    }),
  )
}

export function attemptOf(key: string): Attempt | undefined {
  return attempts.peek().find((each) => each.key === key)
}
