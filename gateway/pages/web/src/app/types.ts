/** The member's part of the API, named as the page speaks of it. The shapes are made of the API's description. */
import type {
  ActivityEntry, ActivityAnswer, CodesAnswer, Device, DevicesAnswer, EnrolledDevice, GroupAnswer, IssuedCode, LotPart, MeAnswer,
  MemberBalance, MemberBenefit, MyBenefitsAnswer, NoticeBill,
} from '../shared/described'

export type { ActivityAnswer, CodesAnswer, Device, DevicesAnswer, EnrolledDevice, IssuedCode, MyBenefitsAnswer }
export type Me = MeAnswer
export type PointLot = LotPart
export type Benefit = MemberBenefit
export type Group = GroupAnswer
export type Activity = ActivityEntry
export type Bill = NoticeBill
export type Kind = Activity['kind']
export type Change = Activity['changes'][number]
export type Leg = Activity['legs'][number]

/** One thing that happened to the member, as live notices and the history tell it. */
export type Movement = Omit<Activity, 'status' | 'given_back' | 'hold_expires_at'>

/** The event `notice` of GET /v1/me/events, which OpenAPI has no way to describe: a movement and what is left. */
export interface Notice extends Movement {
  missed?: boolean
  hold_expires_at?: string | null
  balance: (MemberBalance & { benefits: { benefit_id: string; name: string; remaining_uses: number; left_today: number | null }[] }) | null
}
