/**
 * What the bill is for, as far as the cashier says it: amounts by category. Optional; a bill without parts is sent
 * without lines. The first category chosen takes what the others leave, so that one tap tells the whole bill.
 */
import { signal } from '@preact/signals'

import type { BillLine } from '../types'

export interface Part {
  category: string
  /** As typed; null: what the others leave. */
  minor: number | null
}

export const parts = signal<readonly Part[]>([])

export function toggle(category: string): void {
  const now = parts.peek()
  parts.value = now.some((each) => each.category === category)
    ? now.filter((each) => each.category !== category)
    : [...now, { category, minor: now.length === 0 ? null : 0 }]
}

/** All of the bill is this, or nothing is told where it was all of this. */
export function only(category: string): void {
  const now = parts.peek()
  const was = now.length === 1 && now[0]?.category === category && now[0].minor === null
  parts.value = was ? [] : [{ category, minor: null }]
}

export function type(category: string, minor: number): void {
  parts.value = parts.peek().map((each) => (each.category === category ? { category, minor } : each))
}

/** The amount of each part, in their order; together never more than the bill, whatever was typed. */
export function amountsOf(chosen: readonly Part[], billMinor: number): number[] {
  let left = billMinor
  const typed = chosen.map(({ minor }) => {
    const amount = Math.min(minor ?? 0, left)
    left -= amount
    return amount
  })
  return chosen.map(({ minor }, index) => (minor === null ? left : (typed[index] ?? 0)))
}

/** As verify takes them. */
export function linesOf(chosen: readonly Part[], billMinor: number): BillLine[] {
  const amounts = amountsOf(chosen, billMinor)
  return chosen
    .map(({ category }, index) => ({ category, amount_minor: amounts[index] ?? 0 }))
    .filter((line) => line.amount_minor > 0)
}

/** The same lines of what was left to pay of the bill: each by its share, rounded down. */
export function shareOf(lines: readonly BillLine[], payableMinor: number, billMinor: number): BillLine[] {
  return lines.map(({ category, amount_minor }) => ({
    category,
    amount_minor: Number((BigInt(amount_minor) * BigInt(payableMinor)) / BigInt(billMinor)),
  }))
}
