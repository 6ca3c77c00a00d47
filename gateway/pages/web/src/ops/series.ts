/**
 * The last hour, a point a second, as columns for the charts. A second that nobody wrote is a gap, not a zero. Bounded:
 * what is older than an hour leaves at the front.
 */
import type { SeriesAnswer, Snapshot } from './types'

export const COLUMNS = ['at', 'accepted', 'refused', 'p50_ms', 'p95_ms', 'p99_ms', 'lag_seconds', 'backlog_entries', 'open_holds', 'memory_bytes', 'workers'] as const
export type Column = (typeof COLUMNS)[number]
export type Row = Record<Column, number | null> & { at: number }

export const HOUR_SECONDS = 3_600

export class Series {
  private rows: Row[] = []

  /** What the gateway kept; the rows that came live meanwhile stay behind it. */
  fill(answer: SeriesAnswer): void {
    const last = this.rows
    this.rows = []
    for (const values of answer.rows) {
      const row = { ...EMPTY_ROW }
      answer.columns.forEach((name, index) => {
        if ((COLUMNS as readonly string[]).includes(name)) (row as Record<string, number | null>)[name] = values[index] ?? null
      })
      this.push(row)
    }
    for (const row of last) this.push(row)
  }

  /** A snapshot as the row of its second. Counts of a second are differences of totals, which restart with the workers. */
  add(snapshot: Snapshot, before: Snapshot | null): void {
    const at = Math.floor(Date.parse(snapshot.at) / 1000)
    const passed = before ? Math.max(1, at - Math.floor(Date.parse(before.at) / 1000)) : 0
    const rate = (now: number, then: number | undefined) =>
      then === undefined || now < then ? null : Math.round(((now - then) / passed) * 10) / 10
    const { redemptions, latency, ledger } = snapshot
    this.push({
      at,
      accepted: rate(redemptions.accepted, before?.redemptions.accepted) ?? redemptions.per_second,
      refused: rate(redemptions.refused, before?.redemptions.refused),
      p50_ms: latency.p50_ms,
      p95_ms: latency.p95_ms,
      p99_ms: latency.p99_ms,
      lag_seconds: ledger.lag_seconds,
      backlog_entries: ledger.backlog_entries,
      open_holds: snapshot.holds.open,
      memory_bytes: snapshot.hot_store.memory_bytes,
      workers: snapshot.workers.alive,
    })
  }

  private push(row: Row): void {
    const last = this.rows.at(-1)
    if (last && row.at <= last.at) return
    this.rows.push(row)
    const oldest = row.at - HOUR_SECONDS
    if (this.rows.length > HOUR_SECONDS + 60 || (this.rows[0] && this.rows[0].at < oldest - 60))
      this.rows = this.rows.filter((each) => each.at >= oldest)
  }

  /** Times and values of some columns, smoothed over `seconds` seconds, with nulls where nothing is known. */
  columns(names: readonly Column[], seconds: number): (number | null)[][] {
    const times: number[] = []
    const picked: Row[] = []
    this.rows.forEach((row, index) => {
      const before = this.rows[index - 1]
      if (before && row.at - before.at > GAP_SECONDS) {
        times.push(before.at + 1)
        picked.push({ ...EMPTY_ROW, at: before.at + 1 })
      }
      times.push(row.at)
      picked.push(row)
    })
    return [times, ...names.map((name) => smooth(picked.map((row) => row[name]), seconds))]
  }
}

const GAP_SECONDS = 5
const EMPTY_ROW: Row = Object.fromEntries(COLUMNS.map((name) => [name, null])) as unknown as Row

/** The mean of what is known of the last `width` points: smooth to look at, and never ahead of what happened. */
export function smooth(values: readonly (number | null)[], width: number): (number | null)[] {
  let sum = 0
  let known = 0
  return values.map((value, index) => {
    if (value !== null) {
      sum += value
      known += 1
    }
    const left = index >= width ? values[index - width] : undefined
    if (left !== undefined && left !== null) {
      sum -= left
      known -= 1
    }
    return value === null || known === 0 ? null : sum / known
  })
}
