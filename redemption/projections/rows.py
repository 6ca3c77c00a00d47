"""Rows of the ledger as projections get them, read and decoded once for all of them."""

import datetime
from dataclasses import dataclass
from typing import NamedTuple

from redemption.database import Connection
from redemption.domain.contexts import legs_of
from redemption.queries import named_queries


class Place(NamedTuple):
    """The place of a row in the ledger of a bucket; ordered as the ledger is."""

    epoch: int
    entry_ms: int
    entry_seq: int


class Move(NamedTuple):
    """`amount` of `asset` from one account to another within one lot; accounts are letters (ledger/entries.py)."""

    asset: str
    lot: str
    source: str
    target: str
    amount: int

    @property
    def issuer(self) -> str:
        return self.lot.partition(".")[2]


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
    moves: tuple[Move, ...]


async def read_rows(connection: Connection, bucket: int, after: Place, limit: int) -> list[LedgerRow]:
    """Return at most `limit` rows of a bucket behind a place, in order. Projections read no moves but these."""
    query = named_queries("projections", "projector")["next_rows"]
    return [
        LedgerRow(*(bucket, Place(*row[:3]), *row[3:12], legs_of(row), _decoded(row["moves"])))
        for row in await connection.fetch(query, bucket, *after, limit)
    ]


def _decoded(text: str) -> tuple[Move, ...]:
    words = [move.split(",") for move in text.split(";")] if text else ()
    return tuple([Move(asset, lot, source, target, int(amount)) for asset, lot, source, target, amount in words])
