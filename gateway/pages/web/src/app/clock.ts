/**
 * The gateway's time on this device. Codes begin and end by the gateway's clock; a device may be minutes off. A fresh
 * code says what time it is at the gateway, to a slot of two seconds: smaller differences count as none.
 */
import { signal } from '@preact/signals'

const UNSURE_MS = 2_000
let offsetMs = 0

/** Milliseconds since the epoch, by the gateway's clock as far as it is known. */
export function gatewayNow(): number {
  return Date.now() + offsetMs
}

/** The gateway's clock says `gatewayMs` at this moment. */
export function learnTime(gatewayMs: number): void {
  const difference = gatewayMs - Date.now()
  offsetMs = Math.abs(difference) > UNSURE_MS ? difference : 0
  now.value = gatewayNow()
}

/** The gateway's time, told four times a second while somebody looks. */
export const now = signal(Date.now())
const TICK_MS = 250
window.setInterval(() => {
  if (!document.hidden) now.value = gatewayNow()
}, TICK_MS)
document.addEventListener('visibilitychange', () => (now.value = gatewayNow()))
