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

export interface BenefitOffer {
  benefit_id: string
  name: string
  usable: boolean
  value_minor: number
  remaining_uses: number
  reason: { code: string; detail: string; operator_hint: string } | null
}

/** What POST /v1/prepare answers. */
export interface Prepared {
  member: MemberHead
  balance: Balance
  points: { maximum: number; value_minor: number; minimum: number }
  stored_value: { maximum_minor: number }
  benefits: BenefitOffer[]
  best: { legs: Leg[]; saving_minor: number }
}

export type Status = 'held' | 'captured' | 'partially_refunded' | 'refunded' | 'voided' | 'expired' | 'reversed'

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

export interface Redemption {
  redemption_id: string
  status: Status
  created_at: string
  hold_expires_at: string | null
  member: MemberHead
  legs: LegTaken[]
  bill: (Bill & { discount_minor: number; payable_minor: number }) | null
  balance: Balance
}

export interface CancelAnswer {
  effect: 'reversed' | 'tombstoned'
  redemption: Redemption | null
}

/** What GET /v1/terminal answers: which till this key is of. */
export interface Terminal {
  terminal_id: string
  business: { business_id: string; name: Record<string, string>; currency: string }
  outlet: { outlet_id: string; name: Record<string, string> }
  /** Those that rules name here. A terminal that was kept by an older page has none. */
  categories?: string[]
}
