/**
 * The API's answers and requests as the pages use them. Made of its description by
 * `python -m tests.support.page_types`; a test holds it equal. What the API may leave out or null is so here.
 */

/** Two counts. */
export interface AcceptedRefused {
  accepted: number
  refused: number
}

/** Points a purchase earned. */
export interface AccrualAnswer {
  accrual_id: string
  created_at: string
  member: MemberHead
  points: number
  points_settled: number
  crossing_bonus: boolean
  issuer: string
  expires_month: string
  growth_value: number
  growth_value_total: number
  bill: EarningBill
  balance: EarnedBalance
  status: 'accrued'
}

/** A page of the member's history, newest first. */
export interface ActivityAnswer {
  as_of: string
  activity: ActivityEntry[]
  next_cursor: string | null
}

/** A movement and what became of it. */
export interface ActivityEntry {
  event_id: string
  kind: 'accrue' | 'adjust' | 'capture' | 'expire' | 'hold' | 'identify' | 'issue' | 'redeem' | 'refund' | 'release' | 'reverse'
  reason: 'accrual_reversed' | 'cancelled' | 'expired' | 'voided' | null
  at: string
  title: string
  explanation: string
  subject_id: string
  business: BusinessName | null
  outlet: OutletName | null
  code: UsedScanCode | UsedOfflineCode | null
  bill: NoticeBill | null
  legs: (NoticePointsLeg | NoticeBenefitLeg | NoticeStoredValueLeg)[]
  changes: (PointsChange | BenefitChange | StoredValueChange)[]
  hold_expires_at: string | null
  status: 'accrued' | 'captured' | 'expired' | 'held' | 'identified' | 'partially_refunded' | 'refunded' | 'reversed' | 'voided' | null
  given_back: (PointsBack | BenefitBack | StoredValueBack)[]
}

/** What should be looked at now. */
export interface Alarm {
  code: string
  severity: 'critical' | 'warning'
  title: string
  text: string
  value: number
  threshold: number
  unit: string
  since: string
}

/** Up to `amount_minor` off, per use. */
export interface AmountOff {
  kind: 'amount_off'
  amount_minor: number
}

/** What the member has left. */
export interface Balance {
  points: number
  points_held: number
  stored_value_minor: number
}

/** Why the legs of the request would be refused. */
export interface BasketReason {
  code: string
  detail: string
  operator_hint: string
  leg: number | null
  asked?: number
  available?: number
}

/** Uses that came back. */
export interface BenefitBack {
  kind: 'benefit'
  benefit_id: string
  name: string
  amount: number
}

/** More or less uses of a benefit. */
export interface BenefitChange {
  kind: 'benefit'
  benefit_id: string
  name: string
  available: number
  held: number
  lots: LotMoved[]
}

/** A benefit of the member's, used once or several times at one go (three hours of parking are three uses). */
export interface BenefitLeg {
  kind: 'benefit'
  benefit_id: string
  uses?: number
}

/** Uses that expire together. */
export interface BenefitLot {
  uses: number
  expires_month: string | null
}

/** Uses of one lot of a benefit. */
export interface BenefitLotPart {
  issuer: string
  uses: number
  expires_month: string | null
}

/** One benefit the member has. */
export interface BenefitOffer {
  benefit_id: string
  name: string
  usable: boolean
  value_minor: number
  remaining_uses: number
  remaining_uses_today: number
  max_uses_here: number
  excludes: string[]
  reason: OfferReason | null
}

/** A benefit leg as it stands. */
export interface BenefitProgress {
  kind: 'benefit'
  benefit_id: string
  uses: number
  value_minor: number
  lots: BenefitLotPart[]
  captured_uses: number
  refunded_uses: number
}

/** A benefit leg as it was applied. */
export interface BenefitTaken {
  kind: 'benefit'
  benefit_id: string
  uses: number
  value_minor: number
  lots: BenefitLotPart[]
}

/** The benefits and points that save most. Stored value is money and saves nothing, so it is never in it. */
export interface BestBasket {
  legs: (PointsLeg | BenefitLeg | StoredValueLeg)[]
  saving_minor: number
  bill: BestBill | null
}

/** The bill with the best basket. */
export interface BestBill {
  amount_minor: number
  discount_minor: number
  payable_minor: number
}

/** What the till is about to be paid. Lines are optional and may name only a part of it, never more. `stay` is the number of a hotel stay (or any longer visit) that the bill belongs to: caps "per stay" count by it. */
export interface Bill {
  reference: string
  amount_minor: number
  currency: string
  stay?: string | null
  lines?: BillLine[]
}

/** The bill after the legs: charge `payable_minor`. */
export interface BillAnswer {
  reference: string
  amount_minor: number
  currency: string
  discount_minor: number
  payable_minor: number
}

/** One line, or one sum per category, of a bill. */
export interface BillLine {
  category: string
  amount_minor: number
}

/** Of one business. */
export interface BusinessFigures {
  accepted: number
  refused: number
  business_id: string
  name: string
  per_second: number
  last_minute: AcceptedRefused
  outlets: OutletFigures[]
}

/** A business and what it is called. */
export interface BusinessName {
  business_id: string
  name: string
}

/** What the cancel came to. In either case nothing is applied, and nothing will be. */
export interface CancelAnswer {
  effect: 'reversed' | 'tombstoned'
  redemption: RedemptionView | null
}

/** Codes to show one after the other. */
export interface CodesAnswer {
  codes: IssuedCode[]
}

/** A device of the member. */
export interface Device {
  device_id: string
  name: string
  created_at: string
  revoked_at: string | null
  key_current: boolean
}

/** The member's devices. */
export interface DevicesAnswer {
  devices: Device[]
}

/** The redemption that a possible duplicate repeats. */
export interface EarlierRedemption {
  redemption_id: string
  status: 'captured' | 'held' | 'partially_refunded'
  created_at: string
  bill: BillAnswer | null
}

/** What the member has now. */
export interface EarnedBalance {
  points: number
}

/** The bill that earned. */
export interface EarningBill {
  reference: string
  amount_minor: number
  currency: string
}

/** A device that was just enrolled, with its key. */
export interface EnrolledDevice {
  device_id: string
  name: string
  created_at: string
  revoked_at: string | null
  key_current: boolean
  key: string
  code_prefix: string
  step_seconds: number
}

/** One place of a request that cannot be read. */
export interface FieldFault {
  field: string
  reason: string
  row?: number
  column?: string | null
}

/** What everything is called. */
export interface GroupAnswer {
  version: number
  tiers: GroupTier[]
  businesses: GroupBusiness[]
  benefits: GroupBenefit[]
}

/** A benefit of the pool. */
export interface GroupBenefit {
  benefit_id: string
  name: Record<string, string>
}

/** A business. */
export interface GroupBusiness {
  business_id: string
  currency: string
  name: Record<string, string>
  outlets: GroupOutlet[]
}

/** An outlet of a business. */
export interface GroupOutlet {
  outlet_id: string
  name: Record<string, string>
}

/** A level, lowest first. */
export interface GroupTier {
  tier: string
  rank: number
  name: Record<string, string>
}

/** Holds. */
export interface HoldFigures {
  open: number | null
}

/** The hot store. */
export interface HotStoreFigures {
  connected: boolean
  in_flight: number
  memory_bytes: number | null
  memory_limit_bytes: number | null
  frozen_buckets: number[]
}

/** From `from` until before `to`, wall-clock time of the outlet. `to` before `from` is on the next day. */
export interface Hours {
  from: string
  to: string
}

/** One code in its two forms; whichever is used first uses both. */
export interface IssuedCode {
  code: string
  digits: string
  expires_at: string
  refresh_at: string
}

/** A free item worth up to `value_minor`, per use. */
export interface Item {
  kind: 'item'
  value_minor: number
}

/** A call of a till that was refused. */
export interface LastRefusal {
  at: string
  business: BusinessName | null
  outlet: OutletName | null
  terminal_id: string | null
  code: string
  title: string
  path: string
}

/** From request to answer, of the last minute. */
export interface Latency {
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  window_seconds: number
}

/** How far the ledger is behind the hot store. As tong_ledger_… */
export interface LedgerFigures {
  lag_seconds: number | null
  backlog_entries: number | null
  stopped_buckets: number | null
  dead_letters: number | null
}

/** How much of one lot moved. */
export interface LotMoved {
  issuer: string
  issuer_name: string
  amount: number
  expires_month: string | null
}

/** Points of one lot: the business that issued them and the month in which they expire. */
export interface LotPart {
  issuer: string
  points: number
  expires_month: string
}

/** The member's own view. */
export interface MeAnswer {
  member_id: string
  tier: string
  display_name: string
  status: 'active' | 'blocked'
  growth_value: number
  balance: MemberBalance
  lots: LotPart[]
}

/** What a member has. */
export interface MemberBalance {
  points: number
  points_held: number
  points_owed: number
  stored_value: StoredValueBalance[]
}

/** A benefit the member has, with its terms. Null: no such restriction. */
export interface MemberBenefit {
  benefit_id: string
  name: string
  granted_by: string
  discount: PercentOff | AmountOff | Item | NoDiscount
  remaining_uses: number
  uses_now: number
  not_now: 'benefit_exhausted' | 'benefit_not_now' | 'tier_too_low' | null
  used_today: number
  used_this_month: number
  per_day: number | null
  per_month: number | null
  businesses: string[] | null
  outlets: string[] | null
  categories: string[] | null
  weekdays: number[] | null
  hours: Hours[] | null
  first_day: string | null
  last_day: string | null
  minimum_spend_minor: number
  minimum_tier: string | null
  lots: BenefitLot[]
}

/** Whose code it was: as much as a cashier needs. */
export interface MemberHead {
  member_id: string
  tier: string
  display_name: string
}

/** Everything the member can use. */
export interface MyBenefitsAnswer {
  benefits: MemberBenefit[]
}

/** Takes no money off: a room upgrade, a pass. */
export interface NoDiscount {
  kind: 'none'
}

/** A benefit of a basket. */
export interface NoticeBenefitLeg {
  kind: 'benefit'
  benefit_id: string
  name: string
  uses: number
  value_minor: number
}

/** The bill, and what came off it where that is known. */
export interface NoticeBill {
  reference: string | null
  amount_minor: number
  discount_minor: number | null
  payable_minor: number | null
  currency: string
}

/** Points of a basket. */
export interface NoticePointsLeg {
  kind: 'points'
  points: number
  value_minor: number
}

/** Stored value of a basket. */
export interface NoticeStoredValueLeg {
  kind: 'stored_value'
  amount_minor: number
  currency: string | null
  value_minor: number
}

/** Why a benefit cannot be used, as verify would refuse it. */
export interface OfferReason {
  code: string
  detail: string
  operator_hint: string
}

/** Of one outlet. */
export interface OutletFigures {
  accepted: number
  refused: number
  outlet_id: string
  name: string
  last_minute: AcceptedRefused
}

/** An outlet and what it is called. */
export interface OutletName {
  outlet_id: string
  name: string
}

/** `percent` of what is left of the eligible amount, at most `maximum_minor`. One use per bill. */
export interface PercentOff {
  kind: 'percent_off'
  percent: number
  maximum_minor?: number | null
}

/** Points that came back. */
export interface PointsBack {
  kind: 'points'
  amount: number
}

/** More or less points. */
export interface PointsChange {
  kind: 'points'
  available: number
  held: number
  lots: LotMoved[]
}

/** Points taken from the member's lots, first to expire first. */
export interface PointsLeg {
  kind: 'points'
  points: number
}

/** Points that may be used here for this bill. */
export interface PointsOffer {
  maximum: number
  value_minor: number
  minimum: number
  preselect: 'best' | 'none'
}

/** A points leg as it stands. */
export interface PointsProgress {
  kind: 'points'
  points: number
  value_minor: number
  lots: LotPart[]
  captured_points: number
  refunded_points: number
}

/** A points leg as it was applied. */
export interface PointsTaken {
  kind: 'points'
  points: number
  value_minor: number
  lots: LotPart[]
}

/** Who it is and what may be used here. The code is still good. */
export interface PrepareAnswer {
  member: MemberHead
  balance: Balance
  points: PointsOffer
  stored_value: StoredValueOffer
  benefits: BenefitOffer[]
  best: BestBasket
  proposed: ProposedBasket
  basket: QuotedBasket | null
}

/** Why a request was not answered as asked (RFC 9457), with what the till may do and what the cashier reads. */
export interface ProblemAnswer {
  type: string
  title: string
  status: number
  code: string
  outcome: 'not_applied' | 'unknown'
  retry: 'never' | 'new_code' | 'new_key' | 'same_key'
  detail: string
  operator_hint: string
  leg?: number
  asked?: number
  available?: number
  errors?: FieldFault[]
  errors_total?: number
  scope?: string
  earlier?: EarlierRedemption | null
  reasons?: string[]
}

/** The basket for a till to show first: the best one, without points unless the business preselects them. */
export interface ProposedBasket {
  legs: (PointsLeg | BenefitLeg | StoredValueLeg)[]
  saving_minor: number
  bill: BestBill | null
}

/** What the `legs` of the request come to. */
export interface QuotedBasket {
  values_minor: number[]
  bill: BestBill | null
  reason: BasketReason | null
}

/** One redemption as verify answers it, the first time and every time. */
export interface RedemptionAnswer {
  redemption_id: string
  status: 'captured' | 'held'
  created_at: string
  hold_expires_at: string | null
  member: MemberHead
  legs: (PointsTaken | BenefitTaken | StoredValueTaken)[]
  bill: BillAnswer | null
  balance: Balance
}

/** One redemption as it stands: what was taken, and what became of it. */
export interface RedemptionView {
  redemption_id: string
  status: 'captured' | 'expired' | 'held' | 'partially_refunded' | 'refunded' | 'reversed' | 'voided'
  created_at: string
  hold_expires_at: string | null
  member: MemberHead
  legs: (PointsProgress | BenefitProgress | StoredValueProgress)[]
  bill: BillAnswer | null
  balance: Balance
}

/** Scans: now, and since the counters began. As tong_verify_total. */
export interface Redemptions {
  per_second: number
  per_second_minute: number
  accepted: number
  replayed: number
  refused: number
  unknown: number | null
}

/** The last of them, newest first. */
export interface RefusalsAnswer {
  refusals: LastRefusal[]
}

/** Scans refused for one reason. */
export interface RefusedByReason {
  code: string
  title: string
  total: number
  last_minute: number
}

/** One row a second, oldest first; a second that is missing was not sampled. */
export interface SeriesAnswer {
  from: string
  to: string
  step_seconds: number
  columns: string[]
  rows: ((number | null)[])[]
}

/** How things stand, over all workers. */
export interface SnapshotAnswer {
  at: string
  scope: string | null
  workers: Workers
  redemptions: Redemptions
  latency: Latency
  refused_by_reason: RefusedByReason[]
  by_business: BusinessFigures[]
  ledger: LedgerFigures
  holds: HoldFigures
  hot_store: HotStoreFigures
  streams: StreamFigures
  alarms: Alarm[]
}

/** Stored value that came back, minor units. */
export interface StoredValueBack {
  kind: 'stored_value'
  currency: string
  amount: number
}

/** Money paid in, of one currency. */
export interface StoredValueBalance {
  currency: string
  amount_minor: number
}

/** More or less stored value, minor units. */
export interface StoredValueChange {
  kind: 'stored_value'
  currency: string
  available: number
  held: number
  lots: LotMoved[]
}

/** Money the member has paid in, in the currency of the bill (of the business, where there is no bill). */
export interface StoredValueLeg {
  kind: 'stored_value'
  amount_minor: number
}

/** Money of one lot of stored value. */
export interface StoredValueLotPart {
  issuer: string
  amount_minor: number
  expires_month: string | null
}

/** Stored value that may be used here for this bill. */
export interface StoredValueOffer {
  maximum_minor: number
}

/** A stored-value leg as it stands. */
export interface StoredValueProgress {
  kind: 'stored_value'
  amount_minor: number
  value_minor: number
  lots: StoredValueLotPart[]
  captured_amount_minor: number
  refunded_amount_minor: number
}

/** A stored-value leg as it was applied. */
export interface StoredValueTaken {
  kind: 'stored_value'
  amount_minor: number
  value_minor: number
  lots: StoredValueLotPart[]
}

/** Streams of server-sent events that are open. */
export interface StreamFigures {
  members: number
  operations: number
}

/** Which till this key is of. */
export interface TerminalAnswer {
  terminal_id: string
  outlet: GroupOutlet
  business: TerminalBusiness
  categories: string[]
  time_zone: string
  counts_stays: boolean
  holds: TerminalHolds
}

/** The business a terminal belongs to. */
export interface TerminalBusiness {
  business_id: string
  currency: string
  name: Record<string, string>
}

/** How long holds may last. */
export interface TerminalHolds {
  default_seconds: number
  maximum_seconds: number
}

/** A code that a device made by itself was used. */
export interface UsedOfflineCode {
  form: 'offline'
  device_id: string
  step: number
}

/** A code that the gateway made was used. */
export interface UsedScanCode {
  form: 'scan'
  expires_at: string
}

/** `POST /v1/verify`: one scan and the basket that goes with it. No legs: an identity check that uses the code. */
export interface VerifyRequest {
  code: string
  bill?: Bill | null
  legs?: (PointsLeg | BenefitLeg | StoredValueLeg)[]
  capture?: boolean
  hold_seconds?: number | null
  confirm_duplicate?: boolean
}

/** A worker that reported in the last seconds. */
export interface WorkerFigures {
  worker: string
  pid: number
  host: string
  since: string
  in_flight: number
  streams: number
}

/** The workers. */
export interface Workers {
  alive: number
  list: WorkerFigures[]
}
