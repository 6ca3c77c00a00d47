"""Reconciliations: a till's list is read, compared with the ledger's day and kept, so that its file can be fetched.

Guarantees: the same list against an unchanged ledger is the same reconciliation (its id and its file do not change);
what is kept ends after `RECONCILIATIONS_KEPT_DAYS`, and of a business the newest `RECONCILIATIONS_KEPT_MAX` are kept.
Reading, comparing and packing run in a thread. Nothing here changes ledger or settlement.
"""

import asyncio
import base64
import datetime
import secrets
import zlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson

from redemption.database import Connection, Pool
from redemption.domain.clock import Clock
from redemption.domain.limits import (
    RECONCILED_DAYS_BACK_MAX,
    RECONCILED_MOVEMENTS_MAX,
    RECONCILIATIONS_KEPT_DAYS,
    RECONCILIATIONS_KEPT_MAX,
)
from redemption.queries import named_queries
from redemption.settlement.agreements import read_places
from redemption.settlement.business_days import OutletDay
from redemption.settlement.reconciliation import (
    CLASSES,
    UNMATCHED_ROWS,
    Class,
    ClassTotal,
    Item,
    compare,
    digest_of,
    item_document,
    list_notes_of,
    totals_of,
    with_elsewhere,
)
from redemption.settlement.till_days import Elsewhere, Movement, elsewhere, movements_of
from redemption.settlement.till_lists.reading import (
    TillList,
    TillListRefused,
    TillRow,
    read_csv,
    read_json,
)
from redemption.settlement.till_lists.terms import ListTerms
from redemption.settlement.uses import Places

ITEMS_OF_PART: Final = 1_000
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded list, and what it is to be compared with. `outlet` None: the whole business."""

    business: str
    outlet: str | None
    day: datetime.date
    data: bytes
    form: Literal["csv", "json"]
    uploaded_by: str
    charset: str | None = None
    """The charset of the Content-Type; None: it is detected."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison.

    `summary`: rows, movements, currency, provisional, ignored_columns, notes, read_as, and by class its totals. One of
    an earlier version may lack notes, read_as and a class.
    """

    reconciliation_id: str
    business: str
    outlet: str | None
    day: datetime.date
    time_zone: str
    uploaded_by: str
    created_at: datetime.datetime
    expires_at: datetime.datetime
    summary: Document

    def places_of(self, kind: Class | None) -> tuple[int, int]:
        """Return where in the file the items of a class begin and end; None: all."""
        counts = [self.totals_of(each)["bills"] for each in CLASSES]
        if kind is None:
            return 0, sum(counts)
        begin = sum(counts[: CLASSES.index(kind)])
        return begin, begin + counts[CLASSES.index(kind)]

    def totals_of(self, kind: Class) -> Document:
        """Return the sums of a class."""
        found: Document = self.summary["classes"].get(kind) or asdict(ClassTotal(0, 0, 0, 0, 0))
        return found


@dataclass(frozen=True, slots=True)
class ReconcileRefused:
    """Nothing was compared; `field` is the part of the request at fault."""

    reason: Literal["business_unknown", "outlet_unknown", "day_out_of_range", "too_many"]
    field: str
    detail: str


class Reconciliations:
    """Reconciliations over one pool of `redemption.database.open_pool`."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._queries = named_queries("settlement", "reconciliation")

    async def reconcile(self, upload: Upload) -> tuple[Reconciliation, bool] | ReconcileRefused | TillListRefused:
        """Compare and keep. The flag says whether it is new, not the repeat of an existing one."""
        async with self._pool.acquire() as connection:
            places = await read_places(connection)
            terms = await self._terms(connection, upload, places)
            if isinstance(terms, ReconcileRefused):
                return terms
            listed = await asyncio.to_thread(_read, upload, terms)
            if isinstance(listed, TillListRefused):
                return listed
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                movements = await movements_of(connection, upload.business, upload.outlet, upload.day, places)
                if movements == "too_many":
                    return ReconcileRefused(
                        "too_many",
                        "outlet",
                        f"the day has more than {RECONCILED_MOVEMENTS_MAX} redemptions; send a list for each outlet",
                    )
                items = await asyncio.to_thread(compare, listed.rows, movements, upload.day)
                missing = [item.reference for item in items if item.kind in UNMATCHED_ROWS and item.reference]
                found = await elsewhere(connection, upload.business, missing, upload.day, places)
            summary = {
                "rows": len(listed.rows),
                "movements": len(movements),
                "currency": terms.currency,
                "provisional": _is_running(terms, self._now()),
                "ignored_columns": list(listed.ignored_columns),
                "notes": list_notes_of(items),
                "read_as": asdict(listed.read_as),
                "classes": {kind: asdict(total) for kind, total in totals_of(items).items()},
            }
            return await self._keep(
                connection,
                upload,
                terms.zone,
                summary,
                await asyncio.to_thread(_packed, listed.rows, movements, items, found),
            )

    async def get(self, reconciliation_id: str) -> Reconciliation | None:
        """Return one that is still kept."""
        row = await self._pool.fetchrow(self._queries["one"], reconciliation_id, self._now())
        return None if row is None else Reconciliation(*row)

    async def listed(
        self,
        business: str | None,
        day: datetime.date | None,
        after: tuple[datetime.datetime, str] | None,
        limit: int,
    ) -> list[Reconciliation]:
        """Return reconciliations, newest first, after (created_at, id) of the last one seen."""
        place = after or (None, None)
        rows = await self._pool.fetch(self._queries["listed"], business, day, self._now(), *place, limit)
        return [Reconciliation(*row) for row in rows]

    async def items(self, reconciliation: Reconciliation, begin: int, end: int) -> list[Document]:
        """Return the items at these places of the file."""
        if end <= begin:
            return []
        first = begin // ITEMS_OF_PART
        rows = await self._pool.fetch(
            self._queries["parts"], reconciliation.reconciliation_id, first, (end - 1) // ITEMS_OF_PART
        )
        lines = [line for row in rows for line in await asyncio.to_thread(_unpacked, row["items"])]
        return lines[begin - first * ITEMS_OF_PART : end - first * ITEMS_OF_PART]

    async def file(self, reconciliation: Reconciliation) -> AsyncGenerator[list[Document], None]:
        """Yield all items, a thousand at a time; no connection is held in between."""
        _, end = reconciliation.places_of(None)
        for begin in range(0, end, ITEMS_OF_PART):
            yield await self.items(reconciliation, begin, min(begin + ITEMS_OF_PART, end))

    async def _terms(self, connection: Connection, upload: Upload, places: Places) -> ListTerms | ReconcileRefused:
        currency = places.currencies.get(upload.business)
        if currency is None:
            return ReconcileRefused("business_unknown", "business", f"there is no business {upload.business}")
        rows = await connection.fetch(self._queries["outlets"], upload.business)
        outlets = frozenset(row["outlet_id"] for row in rows)
        if upload.outlet is not None and upload.outlet not in outlets:
            return ReconcileRefused("outlet_unknown", "outlet", f"{upload.outlet} is no outlet of {upload.business}")
        if upload.outlet is not None:
            outlets = frozenset({upload.outlet})
        days = {outlet: places.day_at(outlet) for outlet in outlets}
        zones = {day.zone for day in days.values()}
        zone = zones.pop() if len(zones) == 1 else places.zone
        # The day has begun somewhere; `provisional` marks that it is not over somewhere.
        hour = min((day.cut_off_hour for day in days.values()), default=0)
        today = OutletDay(zone, hour).day_of(self._now())
        if not today - datetime.timedelta(days=RECONCILED_DAYS_BACK_MAX) <= upload.day <= today:
            return ReconcileRefused(
                "day_out_of_range",
                "day",
                f"{upload.day} is not between today ({today}, {zone.key}) and {RECONCILED_DAYS_BACK_MAX} days before",
            )
        return ListTerms(currency, outlets, upload.day, zone, days)

    async def _keep(
        self, connection: Connection, upload: Upload, zone: ZoneInfo, summary: Document, packed: "_Packed"
    ) -> tuple[Reconciliation, bool]:
        now = self._now()
        async with connection.transaction():
            added: Any = await connection.fetchrow(
                self._queries["add"],
                _fresh_id(),
                upload.business,
                upload.outlet,
                upload.day,
                zone.key,
                upload.uploaded_by,
                now,
                now + datetime.timedelta(days=RECONCILIATIONS_KEPT_DAYS),
                packed.list_sha256,
                packed.ledger_sha256,
                summary,
            )
            name = added["reconciliation_id"]
            if added["is_fresh"]:
                await connection.executemany(
                    self._queries["add_part"], [(name, number, part) for number, part in enumerate(packed.parts)]
                )
            await connection.execute(self._queries["remove_old"], upload.business, now, RECONCILIATIONS_KEPT_MAX)
            row: Any = await connection.fetchrow(self._queries["one"], name, now)
        return Reconciliation(*row), added["is_fresh"]

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)


@dataclass(frozen=True, slots=True)
class _Packed:
    """The stored parts of a comparison."""

    list_sha256: bytes
    ledger_sha256: bytes
    parts: list[bytes]


def _read(upload: Upload, terms: ListTerms) -> TillList | TillListRefused:
    if upload.form == "json":
        return read_json(upload.data, terms)
    return read_csv(upload.data, terms, upload.charset)


def _is_running(terms: ListTerms, now: datetime.datetime) -> bool:
    """Return whether the day is not over in the list's zone, by the outlet that closes last."""
    hour = max((day.cut_off_hour for day in terms.outlet_days.values()), default=0)
    return OutletDay(terms.zone, hour).day_of(now) <= terms.day


def _packed(
    rows: Sequence[TillRow], movements: Sequence[Movement], items: Sequence[Item], found: dict[str, Elsewhere]
) -> _Packed:
    documents = [item_document(item) for item in with_elsewhere(items, found)]
    return _Packed(
        digest_of(rows),
        digest_of([*movements, *sorted((reference, repr(place)) for reference, place in found.items())]),
        [
            zlib.compress(b"\n".join(map(orjson.dumps, documents[begin : begin + ITEMS_OF_PART])), 6)
            for begin in range(0, len(documents), ITEMS_OF_PART)
        ],
    )


def _unpacked(part: bytes) -> list[Document]:
    return [orjson.loads(line) for line in zlib.decompress(part).split(b"\n")]


def _fresh_id() -> str:
    return "rec_" + base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()
