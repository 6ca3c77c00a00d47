/** The basket the cashier puts together from what prepare offered: which legs, how much. What it comes to says prepare. */
import type { BenefitOffer, Leg, Prepared, QuoteReason } from '../types'

export interface Basket {
  points: number
  /** Uses by benefit; 0 is not in it. */
  benefits: Record<string, number>
  storedValueMinor: number
}

export const EMPTY: Basket = { points: 0, benefits: {}, storedValueMinor: 0 }
/** Amounts of points that one tap chooses. */
export const QUICK_POINTS = [500, 1_000] as const

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

/** The benefits in the basket that may not stand beside this one. */
export function excludedBy(offer: BenefitOffer, offers: readonly BenefitOffer[], basket: Basket): string[] {
  return offers.filter((other) => offer.excludes.includes(other.benefit_id) && (basket.benefits[other.benefit_id] ?? 0) > 0).map((other) => other.name)
}

/** The benefits in the basket beside which no points may be used. */
export function againstPoints(offers: readonly BenefitOffer[], basket: Basket): string[] {
  return offers.filter((offer) => offer.excludes.includes('points') && (basket.benefits[offer.benefit_id] ?? 0) > 0).map((offer) => offer.name)
}

/**
 * The basket with as much of the leg at fault as the bill has room for; null where that cannot be helped. It is priced
 * again before anything of it is shown.
 */
export function fitted(prepared: Prepared, basket: Basket, legs: readonly Leg[], reason: QuoteReason): Basket | null {
  const leg = reason.leg === null ? undefined : legs[reason.leg]
  if (reason.code !== 'exceeds_bill' || reason.available === undefined || !leg) return null
  if (leg.kind === 'stored_value') return { ...basket, storedValueMinor: Math.min(basket.storedValueMinor, reason.available) }
  if (leg.kind === 'benefit' || prepared.points.value_minor === 0) return null
  const points = Math.floor((reason.available * prepared.points.maximum) / prepared.points.value_minor)
  return { ...basket, points: points < prepared.points.minimum ? 0 : Math.min(basket.points, points) }
}
