"""What the settlement tests share: a small group, ledger entries as the hot store writes them, and sums from SQL.

`Book` writes entries straight into the ledger's tables, decoded and laid out by the ledger's own code, in stream order
and with the watermark: a test needs no hot store.
"""

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from redemption.database import Pool, open_pool
from redemption.domain.members import member_id
from redemption.ledger.entries import Entry, Position, decode_entry
from redemption.ledger.store import Item, LedgerStore, Watermark
from redemption.settlement.agreements import Added, add_agreement
from redemption.settlement.definitions import AgreementDefinition
from tests.support.ledger.old_form import write_old_form

BUSINESSES = ("gym", "hotel", "mall", "restaurant")
Move = tuple[str, str, str, str, int]


def at(text: str) -> float:
    """Seconds of a time in UTC, `2026-11-22T10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def definition(**fields: Any) -> AgreementDefinition:
    """An agreement for everybody from 2026 on, with what differs."""
    whole = {"issuer": "*", "acceptor": "*", "valid_from": "2026-01-01", **fields}
    return msgspec.convert(whole, AgreementDefinition)


@asynccontextmanager
async def group_pool(dsn: str, *, time_zone: str = "Asia/Shanghai") -> AsyncIterator[Pool]:
    """A pool on a fresh database that has four businesses with an outlet each."""
    pool = await open_pool(dsn, size=4)
    try:
        await pool.execute("INSERT INTO installation (buckets, time_zone) VALUES (64, $1)", time_zone)
        for business in BUSINESSES:
            await pool.execute("INSERT INTO business (business_id, name, currency) VALUES ($1, '{}', 'CNY')", business)
            await pool.execute(
                "INSERT INTO outlet (outlet_id, business_id, name) VALUES ($1, $2, '{}')", f"out_{business}_1", business
            )
        yield pool
    finally:
        await pool.close()


async def agree(pool: Pool, agreement_id: str, **fields: Any) -> int:
    """Adds an agreement that must be taken; its version."""
    async with pool.acquire() as connection:
        added = await add_agreement(connection, agreement_id, definition(**fields), "test")
    assert isinstance(added, Added), added
    return added.version


class Book:
    """Writes ledger entries. Times are seconds; entries of a bucket must not go back in the order they are given.

    Entries of before `old_until` are written in the form from before migration 0014."""

    def __init__(self, pool: Pool, old_until: float = 0) -> None:
        self._pool = pool
        self._old_until_ms = int(old_until * 1000)
        self._numbers = itertools.count(1)
        self._waiting: list[Item] = []

    async def write(
        self,
        kind: str,
        subject_id: str,
        business: str,
        moves: Sequence[Move],
        when: float,
        *,
        legs: Sequence[dict[str, Any]] | None = None,
        bucket: int = 0,
        **context: Any,
    ) -> None:
        """One entry, written at once; `context` as for `add`."""
        self.add(kind, subject_id, business, moves, when, legs=legs, bucket=bucket, **context)
        await self.flush()

    def add(
        self,
        kind: str,
        subject_id: str,
        business: str,
        moves: Sequence[Move],
        when: float,
        *,
        legs: Sequence[dict[str, Any]] | None = None,
        bucket: int = 0,
        **context: Any,
    ) -> None:
        """One entry for the next flush; a move is (asset, lot, from, to, amount). Its place in the stream is that of
        this call, whatever its time. `context`: what is different there."""
        context = {"business": business, "outlet": f"out_{business}_1", "bill": None, **context}
        if legs is not None:
            context["legs"] = list(legs)
        fields = {
            "v": "1",
            "kind": kind,
            "id": subject_id,
            "member": member_id(bucket),
            "at": str(int(when * 1000)),
            "moves": ";".join(",".join(str(word) for word in move) for move in moves),
            "context": json.dumps(context),
        }
        entry = decode_entry({name.encode(): value.encode() for name, value in fields.items()})
        assert isinstance(entry, Entry), entry
        self._waiting.append(Item(bucket, Position(next(self._numbers), 0), entry, {}))

    async def flush(self) -> None:
        """Writes what was added, in one transaction, as the ledger writer does."""
        items, self._waiting = self._waiting, []
        async with self._pool.acquire() as connection, connection.transaction():
            times = [item.content.at_ms / 1000 for item in items if isinstance(item.content, Entry)]
            for month in {datetime.fromtimestamp(moment, UTC).date().replace(day=1) for moment in times}:
                await connection.execute("SELECT ledger_ensure_month($1)", month)
            first = dict.fromkeys((item.bucket for item in items), Watermark(1, Position(0, 0), 0))
            old = [item for item in items if self._is_old(item)]
            await write_old_form(connection, old)
            new = [item for item in items if not self._is_old(item)]
            await LedgerStore(self._pool).write(connection, new, first)
            await connection.executemany(
                "INSERT INTO ledger_watermark (bucket, epoch, last_ms, last_seq, rows_in_epoch)"
                " VALUES ($1, 1, $2, 0, 1)"
                " ON CONFLICT (bucket) DO UPDATE SET last_ms = excluded.last_ms,"
                " rows_in_epoch = ledger_watermark.rows_in_epoch + 1",
                [(item.bucket, item.position.ms) for item in items],
            )

    def _is_old(self, item: Item) -> bool:
        return isinstance(item.content, Entry) and item.content.at_ms < self._old_until_ms


async def differences(pool: Pool) -> list[str]:
    """What does not hold between the ledger, lines, exceptions and periods, in sentences."""
    wrong: list[str] = []
    for row in await pool.fetch(
        """
        SELECT coalesce(ledger.issuer, settled.issuer) AS issuer, coalesce(ledger.owner, settled.acceptor) AS acceptor,
               coalesce(ledger.asset, settled.asset) AS asset, coalesce(ledger.units, 0) AS posted,
               coalesce(settled.units, 0) AS units
        FROM (SELECT issuer, owner, asset, sum(amount)::bigint AS units FROM ledger_posting
              WHERE account = 'business_redeemed' GROUP BY 1, 2, 3) AS ledger
        FULL JOIN (SELECT issuer, acceptor, asset, sum(units)::bigint AS units
                   FROM (SELECT issuer, acceptor, asset, units FROM settlement_line
                         UNION ALL SELECT issuer, acceptor, asset, units FROM settlement_exception
                         WHERE settled_at IS NULL) AS both_kinds GROUP BY 1, 2, 3) AS settled
          ON (ledger.issuer, ledger.owner, ledger.asset) = (settled.issuer, settled.acceptor, settled.asset)
        WHERE ledger.units IS DISTINCT FROM settled.units
        """
    ):
        wrong.append(f"{row['issuer']}->{row['acceptor']} {row['asset']}: ledger {row['posted']}, here {row['units']}")
    for row in await pool.fetch(
        """
        SELECT o.line_id FROM settlement_line AS o JOIN settlement_line AS l
            ON l.line_id = o.line_id OR (l.subject_id = o.subject_id AND l.reference = o.line_id)
        WHERE o.kind = 'use' GROUP BY o.line_id
        HAVING sum(l.units) = 0 AND (sum(l.amount_minor), sum(l.tax_minor), sum(l.face_value_minor)) <> (0, 0, 0)
        """
    ):
        wrong.append(f"{row['line_id']} was given back whole and does not cancel out")
    twice = await pool.fetchval(
        "SELECT count(*) FROM (SELECT line_id FROM settlement_line GROUP BY line_id HAVING count(*) > 1) AS doubled"
    )
    stray = await pool.fetchval(
        "SELECT count(*) FROM settlement_line AS l WHERE period_month <= (SELECT closed_through FROM settlement_books)"
        " AND NOT EXISTS (SELECT FROM settlement_period AS p WHERE (p.month, p.party_low, p.party_high)"
        " = (l.period_month, l.party_low, l.party_high))"
    )
    uneven = await pool.fetch(
        """
        SELECT p.period_id FROM settlement_period AS p
        WHERE p.lines <> (SELECT count(*) FROM settlement_line AS l WHERE (l.period_month, l.party_low, l.party_high)
                          = (p.month, p.party_low, p.party_high))
           OR (SELECT (sum(amount_minor), sum(tax_minor), sum(units), sum(lines)) FROM settlement_period_total AS t
               WHERE t.period_id = p.period_id)
              IS DISTINCT FROM
              (SELECT (sum(amount_minor)::numeric, sum(tax_minor)::numeric, sum(units)::numeric, count(*)::numeric)
               FROM settlement_line AS l
               WHERE (l.period_month, l.party_low, l.party_high) = (p.month, p.party_low, p.party_high))
        """
    )
    if twice or stray:
        wrong.append(f"{twice} lines twice, {stray} lines in a closed month without a period")
    wrong += [f"{row['period_id']}: its totals are not those of its lines" for row in uneven]
    return wrong
