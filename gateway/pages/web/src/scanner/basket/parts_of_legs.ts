/** What of a redemption's legs is still held, or still captured, and the legs for some of it. */
import type { Leg, LegTaken } from '../types'

export interface Part {
  kind: Leg['kind']
  /** The benefit's id; the kind for the others. */
  name: string
  most: number
}

function amounts(leg: LegTaken): { taken: number; captured: number; refunded: number } {
  const taken = leg.points ?? leg.uses ?? leg.amount_minor ?? 0
  const captured = leg.captured_points ?? leg.captured_uses ?? leg.captured_amount_minor ?? taken
  return { taken, captured, refunded: leg.refunded_points ?? leg.refunded_uses ?? leg.refunded_amount_minor ?? 0 }
}

/** Legs of one instrument counted together, as capture and refund take them. */
export function partsOf(legs: readonly LegTaken[], what: 'held' | 'captured'): Part[] {
  const parts: Part[] = []
  for (const leg of legs) {
    const { taken, captured, refunded } = amounts(leg)
    const most = what === 'held' ? taken : captured - refunded
    const name = leg.benefit_id ?? leg.kind
    const known = parts.find((each) => each.name === name)
    if (known) known.most += most
    else parts.push({ kind: leg.kind, name, most })
  }
  return parts.filter((each) => each.most > 0)
}

export function wantedLegs(parts: readonly Part[], chosen: readonly number[]): Leg[] | undefined {
  const legs: Leg[] = []
  parts.forEach((part, index) => {
    const amount = chosen[index] ?? 0
    if (amount === 0) return
    if (part.kind === 'points') legs.push({ kind: 'points', points: amount })
    else if (part.kind === 'stored_value') legs.push({ kind: 'stored_value', amount_minor: amount })
    else legs.push({ kind: 'benefit', benefit_id: part.name, uses: amount })
  })
  return legs
}
