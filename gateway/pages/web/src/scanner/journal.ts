/**
 * The till's journal: what nobody knows the outcome of yet, in localStorage. Everything else is asked of the gateway, so
 * that any till of the business sees and ends it.
 *
 * An attempt, and a step on a redemption, is written down with its key and body BEFORE it is sent. So a page that was
 * reloaded, closed or crashed in the middle of a call knows on its return what it has to ask again, with the same key.
 * What was decided leaves the storage; the last ones stay in memory, for the screen. The key of the terminal never
 * stands here.
 */
import { signal } from '@preact/signals'

import type { Problem } from '../shared/api'
import type { Earlier, Redemption, Scan } from './types'

/**
 * sent      written down, on its way or never answered
 * unknown   asked and not answered: the same key will tell
 * applied   201: captured or held
 * refused   a problem document that says "not applied"
 * cancelled given up: undone, or never applied at all
 */
export type State = 'sent' | 'unknown' | 'applied' | 'refused' | 'cancelled'

export type Refusal = Pick<Problem, 'code' | 'title' | 'detail' | 'operator_hint' | 'retry'> & { earlier?: Earlier | null }

export interface Attempt {
  key: string
  at: number
  terminal: string
  /** Without its code once it is decided. */
  scan: Omit<Scan, 'code'> & { code?: string }
  memberName: string
  state: State
  redemption?: Redemption
  problem?: Refusal
  effect?: 'reversed' | 'tombstoned'
}

/** A step on a redemption that was written down and not answered yet. */
export interface Step {
  redemptionId: string
  terminal: string
  memberName: string
  call: 'capture' | 'void' | 'refund'
  key: string
  body: unknown
}

const IN_MEMORY_MAX = 5
const KEPT_AS = 'tong.scanner.journal'
const STEPS_KEPT_AS = 'tong.scanner.steps'

export const attempts = signal<readonly Attempt[]>(read<Attempt>(KEPT_AS).filter(isOpen))
export const steps = signal<readonly Step[]>(read<Step>(STEPS_KEPT_AS))

function isOpen({ state }: Attempt): boolean {
  return state === 'sent' || state === 'unknown'
}

/** What a till has to settle before it scans anything else: nobody knows yet whether it was applied. */
export function unsettledOf(terminal: string): Attempt | undefined {
  return attempts.peek().find((each) => each.terminal === terminal && isOpen(each))
}

function read<T>(keptAs: string): T[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(keptAs) ?? '[]')
    return Array.isArray(found) ? (found as T[]) : []
  } catch {
    return []
  }
}

/** Writes first and shows afterwards. Throws where nothing can be kept: then nothing may be sent either. */
function keep(list: readonly Attempt[]): void {
  const open = list.filter(isOpen)
  const decided = list.filter((each) => !isOpen(each)).slice(0, IN_MEMORY_MAX)
  localStorage.setItem(KEPT_AS, JSON.stringify(open))
  attempts.value = list.filter((each) => open.includes(each) || decided.includes(each))
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
      if (!isOpen(changed)) {
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

export function stepOn(redemptionId: string): Step | undefined {
  return steps.value.find((each) => each.redemptionId === redemptionId)
}

/** Throws where nothing can be kept. */
export function beginStep(step: Step): void {
  keepSteps([step, ...steps.peek().filter((each) => each.redemptionId !== step.redemptionId)])
}

export function endStep(key: string): void {
  keepSteps(steps.peek().filter((each) => each.key !== key))
}

function keepSteps(list: readonly Step[]): void {
  localStorage.setItem(STEPS_KEPT_AS, JSON.stringify(list))
  steps.value = list
}
