/** The tills' part of the API, named as the page speaks of it. The shapes are made of the API's description. */
import type {
  BasketReason, BenefitProgress, BestBill, CancelAnswer, EarlierRedemption, GroupAnswer, ListedRedemption, OfferReason, PointsProgress,
  PrepareAnswer, RedemptionView, StoredValueProgress, TerminalAnswer, VerifyRequest,
} from '../shared/described'

export type { BenefitOffer, Bill, BillLine } from '../shared/described'
export type { CancelAnswer }
export type Prepared = PrepareAnswer
export type Leg = PrepareAnswer['best']['legs'][number]
export type BilledBasket = BestBill
export type Reason = OfferReason
export type QuoteReason = BasketReason
export type Status = RedemptionView['status']
export type Earlier = EarlierRedemption
export type Group = GroupAnswer

/** The body of POST /v1/verify, in which this page always says what is taken and whether it is a hold. */
export type Scan = VerifyRequest & Required<Pick<VerifyRequest, 'legs' | 'capture'>>

type Amounts<Progress extends { kind: Leg['kind'] }> = Partial<Omit<Progress, 'kind' | 'lots' | 'value_minor'>>

/** A leg of any kind. What was captured and refunded of it is not in the answer of verify. */
export type LegTaken = Pick<RedemptionView['legs'][number], 'kind' | 'value_minor'>
  & Amounts<PointsProgress> & Amounts<BenefitProgress> & Amounts<StoredValueProgress>

/** A redemption as verify answers it, as it stands later, or in a list, where its outlet is named too. */
export type Redemption = Omit<RedemptionView, 'legs'> & { legs: LegTaken[] } & Partial<Pick<ListedRedemption, 'outlet_id'>>

export interface RedemptionPage {
  redemptions: Redemption[]
  next_cursor: string | null
}

type AddedLater = 'categories' | 'time_zone' | 'counts_stays' | 'holds'

/** Which till this key is of. One that was kept by an older page has less. */
export type Terminal = Omit<TerminalAnswer, AddedLater> & Partial<Pick<TerminalAnswer, AddedLater>>
