/** The live figures as the gateway tells them (GET /v1/ops/…). Null is a figure that is not known at the moment. */

export interface Snapshot {
  at: string
  /** The business whose figures these are; null: the whole group. */
  scope: string | null
  workers: { alive: number; list: { worker: string; pid: number; host: string; since: string; in_flight: number; streams: number }[] }
  redemptions: { per_second: number | null; per_second_minute: number | null; accepted: number; replayed: number; refused: number; unknown: number }
  latency: { p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; window_seconds: number }
  refused_by_reason: Reason[]
  by_business: Business[]
  ledger: { lag_seconds: number | null; backlog_entries: number | null; stopped_buckets: number | null; dead_letters: number | null }
  holds: { open: number | null }
  hot_store: { connected: boolean | null; in_flight: number | null; memory_bytes: number | null; memory_limit_bytes: number | null; frozen_buckets: number[] }
  streams: { members: number; operations: number }
  alarms: Alarm[]
}

export interface Reason {
  code: string
  title: string
  total: number
  last_minute: number | null
}

interface Counts {
  accepted: number
  refused: number
  last_minute: { accepted: number; refused: number } | null
}

export interface Outlet extends Counts {
  outlet_id: string
  name: string
}

export interface Business extends Counts {
  business_id: string
  name: string
  per_second: number | null
  outlets: Outlet[]
}

export interface Alarm {
  code: string
  severity: 'warning' | 'critical'
  title: string
  text: string
  value: number | null
  threshold: number | null
  unit: string | null
  since: string
}

export interface Refused {
  at: string
  business: { business_id: string; name: string } | null
  outlet: { outlet_id: string; name: string } | null
  terminal_id: string | null
  code: string
  title: string
  path: string
}

export interface SeriesAnswer {
  columns: string[]
  rows: (number | null)[][]
}
