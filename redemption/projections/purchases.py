"""Members' purchases by business and month, and their visits: what levels and campaigns ask for.

Guarantees: a purchase is an accrual with a bill, counted in the month of the outlet's day; its reversal takes count and
amount out of that same month. A visit is an outlet and its day with a purchase or a redemption (a capture, for a hold),
and stays where something is given back later. A member is in one bucket: no two processes update a member at once.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from redemption.database import Connection
from redemption.projections.projection import Projection
from redemption.projections.rows import LedgerRow
from redemption.queries import named_queries
from redemption.settlement.agreements import read_places
from redemption.settlement.lines import month_of

VISITS: Final = frozenset(("accrue", "redeem", "capture"))


class _Key(NamedTuple):
    member_id: str
    business: str
    month: int
    currency: str


class _Bill(NamedTuple):
    member_id: str
    business: str | None
    outlet: str | None
    occurred_at: datetime.datetime
    currency: str | None
    amount_minor: int | None


@dataclass(slots=True)
class _Change:
    first_at: datetime.datetime
    last_at: datetime.datetime
    purchases: int = 0
    amount_minor: int = 0


class MemberPurchases(Projection):
    """Purchases by member, business, month and currency; visits by member, day and outlet."""

    name = "member_purchases"

    def __init__(self) -> None:
        self._queries = named_queries("projections", "purchases")

    async def apply(self, connection: Connection, rows: Sequence[LedgerRow]) -> None:
        visits = [row for row in rows if row.kind in VISITS and row.business is not None and row.outlet is not None]
        bills = [(1, bill) for row in rows if row.kind == "accrue" and (bill := _bill_of(row)) is not None]
        bills += [(-1, bill) for bill in await self._reversed(connection, rows)]
        if not visits and not bills:
            return
        places = await read_places(connection)
        changes: dict[_Key, _Change] = {}
        for sign, bill in bills:
            month = month_of(places.local_day(bill.outlet, bill.occurred_at))
            assert bill.business is not None
            assert bill.amount_minor is not None
            key = _Key(bill.member_id, bill.business, month, bill.currency or "XXX")
            change = changes.setdefault(key, _Change(bill.occurred_at, bill.occurred_at))
            change.first_at = min(change.first_at, bill.occurred_at)
            change.last_at = max(change.last_at, bill.occurred_at)
            change.purchases += sign
            change.amount_minor += sign * bill.amount_minor
        await connection.execute(
            self._queries["add_purchases"],
            *_columns(
                8,
                (
                    (*key, change.purchases, change.amount_minor, change.first_at, change.last_at)
                    for key, change in changes.items()
                ),
            ),
        )
        days = {
            (row.member_id, places.local_day(row.outlet, row.occurred_at), row.outlet, row.business) for row in visits
        }
        await connection.execute(self._queries["add_visits"], *_columns(4, days))

    async def _reversed(self, connection: Connection, rows: Sequence[LedgerRow]) -> list[_Bill]:
        """Return the bills of accruals that these rows reverse: a month is archived long after that is possible."""
        subjects = [row.subject_id for row in rows if row.kind == "reverse"]
        if not subjects:
            return []
        found = await connection.fetch(self._queries["reversed_accruals"], subjects)
        return [_Bill(*row[1:]) for row in found]


def _bill_of(row: LedgerRow) -> _Bill | None:
    if row.business is None or row.bill_amount_minor is None:
        return None
    return _Bill(row.member_id, row.business, row.outlet, row.occurred_at, row.currency, row.bill_amount_minor)


def _columns(width: int, rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    taken = list(rows)
    return [list(column) for column in zip(*taken, strict=True)] if taken else [[] for _ in range(width)]
