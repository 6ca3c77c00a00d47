/** What the gateway says to a till, as far as this page reads it (the whole is at /docs). */

export type Leg =
  | { kind: 'points'; points: number }
  | { kind: 'benefit'; benefit_id: string; uses?: number }
  | { kind: 'stored_value'; amount_minor: number }

export interface BillLine {
  category: string
  amount_minor: number
}

export interface Bill {
  reference: string
  amount_minor: number
  currency: string
  stay?: string
  lines?: BillLine[]
}

/** The body of POST /v1/verify. */
export interface Scan {
  code: string
  bill?: Bill
  legs: Leg[]
  capture: boolean
  hold_seconds?: number
  confirm_duplicate?: boolean
}

export interface MemberHead {
  member_id: string
  tier: string
  display_name: string
}

export interface Balance {
  points: number
  points_held: number
  stored_value_minor: number
}

export interface Reason {
  code: string
  detail: string
  operator_hint: string
}

export interface BenefitOffer {
  benefit_id: string
  name: string
  usable: boolean
  value_minor: number
  remaining_uses: number
  remaining_uses_today: number
  max_uses_here: number
  /** Ids of benefits, and `points`. */
  excludes: string[]
  reason: Reason | null
}

export interface BilledBasket {
  amount_minor: number
  discount_minor: number
  payable_minor: number
}

export interface QuoteReason extends Reason {
  leg: number | null
  available?: number
}

export interface Quote {
  values_minor: number[]
  bill: BilledBasket | null
  reason: QuoteReason | null
}

export interface OfferedBasket {
  legs: Leg[]
  saving_minor: number
  bill: BilledBasket | null
}

/** What POST /v1/prepare answers. */
export interface Prepared {
  member: MemberHead
  balance: Balance
  points: { maximum: number; value_minor: number; minimum: number; preselect: 'none' | 'best' }
  stored_value: { maximum_minor: number }
  benefits: BenefitOffer[]
  best: OfferedBasket
  proposed: OfferedBasket
  basket: Quote | null
}

export const STATUSES = ['held', 'captured', 'partially_refunded', 'refunded', 'voided', 'expired', 'reversed'] as const
export type Status = (typeof STATUSES)[number]

export interface LegTaken {
  kind: Leg['kind']
  points?: number
  benefit_id?: string
  uses?: number
  amount_minor?: number
  value_minor: number
  captured_points?: number
  captured_uses?: number
  captured_amount_minor?: number
  refunded_points?: number
  refunded_uses?: number
  refunded_amount_minor?: number
}

export type RedemptionBill = Bill & { discount_minor: number; payable_minor: number }

export interface Redemption {
  redemption_id: string
  status: Status
  created_at: string
  hold_expires_at: string | null
  member: MemberHead
  legs: LegTaken[]
  bill: RedemptionBill | null
  balance: Balance
  /** In lists. */
  outlet_id?: string | null
}

export interface RedemptionPage {
  redemptions: Redemption[]
  next_cursor: string | null
}

/** What a possible duplicate repeats. */
export interface Earlier {
  redemption_id: string
  status: Status
  created_at: string
  bill: RedemptionBill | null
}

export interface CancelAnswer {
  effect: 'reversed' | 'tombstoned'
  redemption: Redemption | null
}

type Names = Record<string, string>

/** What GET /v1/terminal answers: which till this key is of. One that was kept by an older page has less. */
export interface Terminal {
  terminal_id: string
  business: { business_id: string; name: Names; currency: string }
  outlet: { outlet_id: string; name: Names }
  /** Those that rules name here. */
  categories?: string[]
  time_zone?: string
  counts_stays?: boolean
  holds?: { default_seconds: number; maximum_seconds: number }
}

/** What GET /v1/group answers, as far as names of outlets and benefits go. */
export interface Group {
  businesses: { business_id: string; outlets: { outlet_id: string; name: Names }[] }[]
  benefits: { benefit_id: string; name: Names }[]
}
