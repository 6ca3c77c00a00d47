/** The basket the cashier puts together from what prepare offered: which legs, how much. Verify decides; this only asks. */
import type { Leg, Prepared } from './types'

export interface Basket {
  points: number
  /** Uses by benefit; 0 is not in it. */
  benefits: Record<string, number>
  storedValueMinor: number
}

export const EMPTY: Basket = { points: 0, benefits: {}, storedValueMinor: 0 }

export function basketOf(legs: readonly Leg[]): Basket {
  const basket: Basket = { points: 0, benefits: {}, storedValueMinor: 0 }
  for (const leg of legs) {
    if (leg.kind === 'points') basket.points += leg.points
    else if (leg.kind === 'benefit') basket.benefits[leg.benefit_id] = (basket.benefits[leg.benefit_id] ?? 0) + (leg.uses ?? 1)
    else basket.storedValueMinor += leg.amount_minor
  }
  return basket
}

export function legsOf(basket: Basket): Leg[] {
  const legs: Leg[] = []
  for (const [benefit_id, uses] of Object.entries(basket.benefits)) {
    if (uses > 0) legs.push(uses === 1 ? { kind: 'benefit', benefit_id } : { kind: 'benefit', benefit_id, uses })
  }
  if (basket.points > 0) legs.push({ kind: 'points', points: basket.points })
  if (basket.storedValueMinor > 0) legs.push({ kind: 'stored_value', amount_minor: basket.storedValueMinor })
  return legs
}

export function isEmpty(basket: Basket): boolean {
  return legsOf(basket).length === 0
}

/** What these points take off, by the proportion that prepare told for the most of them. */
export function pointsValueMinor(prepared: Prepared, points: number): number {
  return prepared.points.maximum > 0 ? Math.floor((prepared.points.value_minor * points) / prepared.points.maximum) : 0
}

/**
 * About what the basket takes off: benefits one by one may come to less together (percent after percent), so it is an
 * estimate until verify answers, and said to be one.
 */
export function estimateMinor(prepared: Prepared, basket: Basket): number {
  let sum = pointsValueMinor(prepared, basket.points) + basket.storedValueMinor
  for (const offer of prepared.benefits) sum += offer.value_minor * (basket.benefits[offer.benefit_id] ?? 0)
  return sum
}
