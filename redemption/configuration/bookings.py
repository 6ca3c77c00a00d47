"""Bookings of a business or at an outlet: the reason why some configuration may not change any more.

Guarantees: the answer covers the ledger, its archive, the settlement, and the entries of the hot store's streams that
are on their way into the ledger. Not covered: a scan that is applied between the question and the change; the first
booking there ever was, in the second in which the currency is changed.
"""

from collections.abc import AsyncIterator, Collection
from typing import Final

from redemption.configuration.group import GroupFileRefused
from redemption.database import Connection
from redemption.domain.limits import BUCKETS_MAX
from redemption.hot import keys
from redemption.hot.store import HotStore
from redemption.ledger.entries import Entry, Position, decode_entry

QUERY_SECONDS: Final = 600.0
"""The ledger has no index by issuer or outlet, for nothing else asks; a change of these is rare."""
PAGE_ENTRIES: Final = 1_000
ENTRIES_BEHIND_MAX: Final = 200_000
READ_SECONDS: Final = 10.0

_BOOKED_BUSINESSES: Final = """
SELECT asked.business, found.place FROM unnest($1::text[]) AS asked (business) CROSS JOIN LATERAL (
    SELECT 'the ledger' AS place WHERE
        EXISTS (SELECT FROM ledger_transaction AS t
                WHERE t.business = asked.business AND t.bill_reference IS NOT NULL)
        OR EXISTS (SELECT FROM ledger_transaction AS t WHERE t.business = asked.business)
        OR EXISTS (SELECT FROM ledger_transaction AS t WHERE position('.' || asked.business || ',' IN t.moves) > 0)
        OR EXISTS (SELECT FROM ledger_posting_row AS p WHERE p.issuer = asked.business)
    UNION ALL SELECT 'the archived ledger' WHERE EXISTS (
        SELECT FROM ledger_archive_balance AS b
        WHERE b.owner = asked.business OR split_part(b.lot, '.', 2) = asked.business)
    UNION ALL SELECT 'the settlement' WHERE
        EXISTS (SELECT FROM settlement_line AS l WHERE asked.business IN (l.issuer, l.acceptor))
        OR EXISTS (SELECT FROM settlement_exception AS e WHERE asked.business IN (e.issuer, e.acceptor))
    LIMIT 1) AS found
"""
_BOOKED_OUTLETS: Final = """
SELECT asked.outlet FROM unnest($1::text[]) AS asked (outlet) WHERE
    EXISTS (SELECT FROM ledger_transaction AS t WHERE t.outlet = asked.outlet)
    OR EXISTS (SELECT FROM settlement_line AS l WHERE l.outlet = asked.outlet)
"""


async def booked(
    connection: Connection, store: HotStore, buckets: int, businesses: Collection[str], outlets: Collection[str]
) -> tuple[dict[str, str], set[str]]:
    """Return the businesses that have bookings, with where, and the outlets that have.

    Raises `GroupFileRefused` where the ledger is too far behind to know.

    Raises `GroupFileRefused` where the ledger is too far behind to know.
    """
    if not businesses and not outlets:
        return {}, set()
    rows = await connection.fetch(_BOOKED_BUSINESSES, sorted(businesses), timeout=QUERY_SECONDS)
    found = {row["business"]: row["place"] for row in rows}
    rows = await connection.fetch(_BOOKED_OUTLETS, sorted(outlets), timeout=QUERY_SECONDS)
    at = {row["outlet"] for row in rows}
    async for entry in _entries_behind(connection, store, buckets):
        for business in {entry.business, *(move.issuer for move in entry.moves)} & set(businesses):
            found.setdefault(str(business), "the hot store")
        if entry.outlet in outlets:
            at.add(entry.outlet)
    return found, at


async def _entries_behind(connection: Connection, store: HotStore, buckets: int) -> AsyncIterator[Entry]:
    """Return the entries of the streams that the ledger does not have yet."""
    assert buckets <= BUCKETS_MAX
    marks = {
        row["bucket"]: Position(row["last_ms"], row["last_seq"])
        for row in await connection.fetch("SELECT bucket, last_ms, last_seq FROM ledger_watermark")
    }
    read = 0
    for bucket in range(buckets):
        after = marks.get(bucket, Position(0, 0))
        while True:
            page = await store.entries_after(
                stream=keys.ledger_stream(bucket),
                after=f"{after.ms}-{after.seq}",
                count=PAGE_ENTRIES,
                deadline_seconds=READ_SECONDS,
            )
            for identifier, fields in page:
                ms, _, seq = identifier.decode().partition("-")
                after = Position(int(ms), int(seq))
                entry = decode_entry(fields)
                if isinstance(entry, Entry):
                    yield entry
            read += len(page)
            if read > ENTRIES_BEHIND_MAX:
                raise GroupFileRefused(
                    f"the ledger is more than {ENTRIES_BEHIND_MAX} entries behind, so bookings are not known;"
                    " `tong write-ledger` has to catch up first"
                )
            if len(page) < PAGE_ENTRIES:
                break
