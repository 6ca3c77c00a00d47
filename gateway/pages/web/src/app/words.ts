/** Amounts of points, benefits and money as words of the page. */
import { money, signed, whole } from '../shared/format'
import { member } from './texts'
import type { Change, Leg } from './types'

/** `−2,000 points`, `餐飲八折 −1 次`, `−¥50.00`: what a change did to what is available. */
export function changeWords(change: Change): string {
  const t = member()
  if (change.kind === 'points') return `${signed(change.available)} ${t.pointsUnit}`
  if (change.kind === 'benefit') return `${change.name} ${change.available < 0 ? '−' : '+'}${t.uses(whole(Math.abs(change.available)))}`
  return `${change.available < 0 ? '−' : '+'}${money(Math.abs(change.available), change.currency)}`
}

export function legWords(leg: Leg): { what: string; amount: string } {
  const t = member()
  if (leg.kind === 'points') return { what: t.points, amount: `−${whole(leg.points)}` }
  if (leg.kind === 'benefit') return { what: leg.name, amount: `−${t.uses(whole(leg.uses))}` }
  return { what: t.storedValue, amount: leg.currency === null ? '' : `−${money(leg.amount_minor, leg.currency)}` }
}
