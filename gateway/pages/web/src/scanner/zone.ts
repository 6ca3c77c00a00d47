/** Days of the outlet, whatever zone this device is in: when they begin, and how a moment is written there. */
import { language } from '../shared/language'

/** How far the zone is from UTC at a moment, milliseconds. */
function offsetMs(atMs: number, zone: string): number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  })
  const parts = Object.fromEntries(format.formatToParts(atMs).map((each) => [each.type, Number(each.value)]))
  const local = Date.UTC(parts.year ?? 0, (parts.month ?? 1) - 1, parts.day ?? 1, parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
  return local - Math.floor(atMs / 1000) * 1000
}

/** The day that `2026-12-03` and so many days more is, as such a text. */
export function dayAfter(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}

/** The outlet's day of a moment, `2026-12-03`. */
export function dayOf(atMs: number, zone: string): string {
  return new Date(atMs + offsetMs(atMs, zone)).toISOString().slice(0, 10)
}

/** The last second of a day of the outlet, Unix milliseconds. */
export function endOfDay(day: string, zone: string): number {
  const midnight = Date.parse(`${dayAfter(day, 1)}T00:00:00Z`)
  // The second look is right where the clocks change between the first guess and the moment.
  return midnight - offsetMs(midnight - offsetMs(midnight, zone), zone) - 1_000
}

/** A moment as people at the outlet write it, with its day. */
export function momentAt(atMs: number, zone: string | undefined): string {
  const format = new Intl.DateTimeFormat(language.value, {
    ...(zone ? { timeZone: zone } : {}), month: 'short', day: 'numeric', weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  })
  return format.format(atMs)
}
