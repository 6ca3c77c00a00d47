/** The live figures (GET /v1/ops/…), named as the page speaks of them. Null is a figure that is not known at the moment. */
import type { BusinessFigures, LastRefusal, RefusalsAnswer, RefusedByReason, SeriesAnswer, SnapshotAnswer } from '../shared/described'

export type { Alarm } from '../shared/described'
export type { RefusalsAnswer, SeriesAnswer }
export type Snapshot = SnapshotAnswer
export type Reason = RefusedByReason
export type Business = BusinessFigures
export type Refused = LastRefusal
