/** What the member's part of the API answers (GET /openapi.json has the whole of it). */
import type { Names } from '../shared/format'

export interface IssuedCode {
  code: string
  digits: string
  expires_at: string
  refresh_at: string
}

export interface PointLot {
  issuer: string
  points: number
  expires_month: string | null
}

export interface StoredValue {
  currency: string
  amount_minor: number
}

export interface Me {
  member_id: string
  tier: string
  display_name: string
  status: 'active' | 'blocked'
  growth_value: number
  balance: { points: number; points_held: number; points_owed: number; stored_value: StoredValue[] }
  lots: PointLot[]
}

export type Discount =
  | { kind: 'percent_off'; percent: number; maximum_minor: number | null }
  | { kind: 'amount_off'; amount_minor: number }
  | { kind: 'item'; value_minor: number }
  | { kind: 'none' }

export interface Benefit {
  benefit_id: string
  name: string
  granted_by: string
  discount: Discount
  remaining_uses: number
  uses_now: number
  not_now: 'benefit_not_now' | 'benefit_exhausted' | 'tier_too_low' | null
  used_today: number
  used_this_month: number
  per_day: number | null
  per_month: number | null
  businesses: string[] | null
  categories: string[] | null
  weekdays: number[] | null
  hours: { from: string; to: string }[] | null
  first_day: string | null
  last_day: string | null
  minimum_spend_minor: number
  minimum_tier: string | null
  lots: { uses: number; expires_month: string | null }[]
}

export interface Group {
  tiers: { tier: string; rank: number; name: Names }[]
  businesses: { business_id: string; currency: string; name: Names; outlets: { outlet_id: string; name: Names }[] }[]
  benefits: { benefit_id: string; name: Names }[]
}

export type Kind =
  | 'identify' | 'redeem' | 'hold' | 'capture' | 'release' | 'refund' | 'reverse' | 'accrue' | 'issue' | 'expire' | 'adjust'

export type Change = { available: number; held: number; lots: ChangeLot[] } & What
export interface ChangeLot {
  issuer: string
  issuer_name: string
  amount: number
  expires_month: string | null
}
export type What =
  | { kind: 'points' }
  | { kind: 'benefit'; benefit_id: string; name: string }
  | { kind: 'stored_value'; currency: string }

export type Leg =
  | { kind: 'points'; points: number; value_minor: number }
  | { kind: 'benefit'; benefit_id: string; name: string; uses: number; value_minor: number }
  | { kind: 'stored_value'; amount_minor: number; currency: string; value_minor: number }

export interface Bill {
  reference: string
  amount_minor: number
  discount_minor: number
  payable_minor: number
  currency: string
}

/** One thing that happened to the member: of the event stream and of the history. */
export interface Movement {
  event_id: string
  kind: Kind
  reason: string | null
  at: string
  title: string
  explanation: string
  subject_id: string
  business: { business_id: string; name: string } | null
  outlet: { outlet_id: string; name: string } | null
  code: { form: 'scan'; expires_at: string } | { form: 'offline'; device_id: string; step: number } | null
  bill: Bill | null
  legs?: Leg[]
  changes: Change[]
}

export interface Notice extends Movement {
  missed?: boolean
  balance: {
    points: number
    points_held: number
    points_owed: number
    stored_value: StoredValue[]
    benefits: { benefit_id: string; name: string; remaining_uses: number }[]
  } | null
}

export interface Activity extends Movement {
  status: string | null
  given_back: ({ amount: number } & What)[]
  hold_expires_at: string | null
}

export interface Device {
  device_id: string
  name: string
  created_at: string
  revoked_at: string | null
  key_current: boolean
}

export interface EnrolledDevice extends Device {
  key: string
  code_prefix: string
  step_seconds: number
}
