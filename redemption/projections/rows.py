"""Rows of the ledger as projections get them, read and decoded once for all of them."""

import datetime
from dataclasses import dataclass
from typing import NamedTuple

from redemption.database import Connection
from redemption.domain.contexts import legs_of
from redemption.ledger.movements import Movement, movements
from redemption.queries import named_queries


class Place(NamedTuple):
    """The place of a row in the ledger of a bucket; ordered as the ledger is."""

    epoch: int
    entry_ms: int
    entry_seq: int


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A transaction of the ledger. `legs`: of a redemption only, as its context has them."""

    bucket: int
    place: Place
    occurred_at: datetime.datetime
    kind: str
    subject_id: str
    member_id: str
    business: str | None
    outlet: str | None
    currency: str | None
    bill_reference: str | None
    bill_amount_minor: int | None
    legs: object
    moves: tuple[Movement, ...]


async def read_rows(connection: Connection, bucket: int, after: Place, limit: int) -> list[LedgerRow]:
    """Return at most `limit` rows of a bucket behind a place, in order. Projections read no moves but these."""
    query = named_queries("projections", "projector")["next_rows"]
    return [
        LedgerRow(*(bucket, Place(*row[:3]), *row[3:12], legs_of(row), movements(row["moves"])))
        for row in await connection.fetch(query, bucket, *after, limit)
    ]
