"""One month of the ledger into files, verified: the part of `tong ledger archive` that changes nothing of the ledger.

Guarantees: what is written was read back and is, row by row, the bytes of the chain; the chain holds up to the month's
last rows; the folder has its last name only then. A folder of that name with other content is left alone.
Memory: the accruals of one bucket; of everything else one row.
"""

import datetime
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from redemption.database import Connection
from redemption.domain.contexts import context_of
from redemption.domain.errors import RefusedError
from redemption.ledger.archive_files import (
    MANIFEST,
    SIGNATURE,
    check_files,
    flush_folder,
    links_of,
    read_manifest,
    write_rows,
    write_whole,
)
from redemption.ledger.chain import QUERY_SECONDS, Head, Link, Place, SealKey
from redemption.ledger.chain_check import ChainCheck
from redemption.ledger.expected_state import Transaction, Who
from redemption.ledger.manifest import (
    FORMAT,
    SEGMENTS_MAX,
    BucketPart,
    Manifest,
    Part,
    Segment,
    encoded,
    gaps_of,
    opening_hash,
    read_parts,
    signature,
)
from redemption.ledger.movements import movements
from redemption.ledger.replay import Replay
from redemption.queries import named_queries

MEMBERS_PAGE: Final = 1_000

Say = Callable[[str], None]


class ArchiveRefused(RefusedError):
    """Nothing was changed by this step; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The partitions of a month, and their names once they are detached as a part."""

    month: datetime.date

    @property
    def transactions(self) -> str:
        return f"ledger_transaction_{self.month:%Y_%m}"

    @property
    def postings(self) -> str:
        return f"ledger_posting_{self.month:%Y_%m}"

    @property
    def end(self) -> datetime.datetime:
        return datetime.datetime.combine(month_after(self.month), datetime.time(), datetime.UTC)


class Export:
    """The export of one month. `connection` may write `ledger_archive_balance` and `ledger_archive_member`."""

    def __init__(self, connection: Connection, key: SealKey, tables: Tables, say: Say) -> None:
        self._connection = connection
        self._key = key
        self._tables = tables
        self._say = say
        self._queries = named_queries("ledger", "archive")

    async def write(self, folder: Path) -> Manifest:
        """Write files and opening rows of the month, verified; the part's folder has its last name when this ends.

        Raises `ArchiveRefused`, `ArchiveDamaged`.
        """
        connection, tables = self._connection, self._tables
        parts = await read_parts(connection)
        part = len(parts) + 1
        name = f"{tables.month:%Y-%m}.{part}"
        partial = folder / f".{name}.partial"
        if partial.exists():
            shutil.rmtree(partial)  # a killed run left it, and took nothing out of the ledger
        partial.mkdir(parents=True)
        async with connection.transaction(isolation="repeatable_read"):
            for query in ("clear_balances", "clear_members"):
                await connection.execute(self._queries[query], part, timeout=QUERY_SECONDS)
            buckets = [
                await self._bucket(row["bucket"], Place(*row[1:4]), parts, partial)
                for row in await last_places(connection, tables)
            ]
            await self._open(part, [each.bucket for each in buckets])
            buckets = [await self._with_opening(part, each) for each in buckets]
        manifest = Manifest(
            FORMAT,
            part,
            f"{tables.month:%Y-%m}",
            self._key.key_id,
            sum(each.transactions.rows for each in buckets),
            sum(each.postings.rows for each in buckets),
            tuple(buckets),
        )
        text = encoded(manifest)
        write_whole(partial / MANIFEST, text)
        write_whole(partial / SIGNATURE, signature(self._key, text).hex().encode() + b"\n")
        flush_folder(partial)
        self._take_name(partial, folder / name, text)
        return manifest

    def _take_name(self, partial: Path, final: Path, text: bytes) -> None:
        if final.exists():
            if read_manifest(final)[1] != text:
                raise ArchiveRefused(f"{final} is there already and is another archive: move it away")
            check_files(final, read_manifest(final)[0])
            shutil.rmtree(partial)  # a killed run left it
        else:
            partial.rename(final)
        flush_folder(final.parent)

    async def _bucket(self, bucket: int, last: Place, parts: Sequence[Part], partial: Path) -> BucketPart:
        connection, tables = self._connection, self._tables
        transactions = await write_rows(connection, partial, "transactions", f"public.{tables.transactions}", bucket)
        postings = await write_rows(connection, partial, "postings", f"public.{tables.postings}", bucket)
        written = BucketPart(bucket, transactions, postings, (), 0, 0, "")
        wrong: list[str] = []
        reading = Reading(links_of(partial, written), wrong)
        check = ChainCheck(
            bucket,
            self._key,
            lambda *said: wrong.append(": ".join(said)),
            gaps=gaps_of(parts, bucket),
            witness=reading.compare,
        )
        # The chain is checked up to the seal after the last row, because earlier changes show there.
        sealed = await connection.fetchrow(self._queries["sealed_after"], bucket, *last, timeout=QUERY_SECONDS)
        if sealed is None:
            raise ArchiveRefused(f"bucket {bucket} is not sealed up to {last}")
        await check.verify(connection, Place(*sealed), lambda _: None, whole=False)
        if not wrong and reading.rows != transactions.rows:
            wrong.append(f"{transactions.rows} rows in the file, {reading.rows} of them in the chain")
        if wrong:
            raise ArchiveRefused(f"bucket {bucket}: {wrong[0]} ({len(wrong)} differences): run `tong audit`")
        self._say(f"{partial.name[1:-8]}: bucket {bucket}, {transactions.rows} transactions written and read back")
        return msgspec.structs.replace(written, segments=tuple(reading.segments))

    # The rows that stay behind.

    async def _open(self, part: int, buckets: Sequence[int]) -> None:
        connection, tables = self._connection, self._tables
        names = {"table": f"public.{tables.transactions}", "postings": f"public.{tables.postings}"}
        await connection.execute(self._queries["write_balances"].format(**names), part, timeout=QUERY_SECONDS)
        for bucket in buckets:
            earlier = {
                row["member_id"]: row["state"]
                for row in await connection.fetch(self._queries["member_states"], bucket, timeout=QUERY_SECONDS)
            }
            rows = await connection.fetch(
                self._queries["accruals"].format(**names), bucket, tables.end, timeout=QUERY_SECONDS
            )
            states = list(_states(rows, earlier))
            for start in range(0, len(states), MEMBERS_PAGE):
                page = states[start : start + MEMBERS_PAGE]
                await connection.execute(
                    self._queries["write_members"],
                    part,
                    bucket,
                    [member_id for member_id, _ in page],
                    [state for _, state in page],
                )

    async def _with_opening(self, part: int, written: BucketPart) -> BucketPart:
        counts = await self._connection.fetchrow(self._queries["opening_counts"], part, written.bucket)
        assert counts is not None
        return msgspec.structs.replace(
            written,
            balances=counts["balances"],
            members=counts["members"],
            opening_sha256=await opening_hash(self._connection, part, written.bucket),
        )


class Reading:
    """A reader that compares a freshly written file with the chain, row by row, and notes the segments of its rows."""

    def __init__(self, links: Iterator[Link], wrong: list[str]) -> None:
        self.rows = 0
        self.segments: list[Segment] = []
        self._links = links
        self._waiting = next(links, None)
        self._wrong = wrong
        self._open = False

    def compare(self, before: Head, link: Link, after: Head) -> None:
        """Receive every row of the chain, in order."""
        if self._waiting is None or self._waiting.place != link.place:
            self._open = False  # the row stays: it is of another month, or a dead letter
            return
        if self._waiting.content != link.content:
            self._wrong.append(f"{link.place}: the file does not say what the ledger says")
        self._waiting = next(self._links, None)
        self.rows += 1
        place = (link.place.ms, link.place.seq)
        if self._open and self.segments[-1].epoch == link.place.epoch:
            last = self.segments[-1]
            self.segments[-1] = msgspec.structs.replace(last, last=place, rows=last.rows + 1, after=after.mac.hex())
            return
        if len(self.segments) >= SEGMENTS_MAX:
            raise ArchiveRefused(f"the month's rows are in more than {SEGMENTS_MAX} places of bucket {before.bucket}")
        self._open = True
        self.segments.append(Segment(link.place.epoch, place, place, 1, before.rows, before.mac.hex(), after.mac.hex()))


async def last_places(connection: Connection, tables: Tables) -> Sequence[Any]:
    """Return for each bucket in the month: bucket, place of its last row, number of rows."""
    query = named_queries("ledger", "archive")["last_places"].format(table=f"public.{tables.transactions}")
    found: Sequence[Any] = await connection.fetch(query, timeout=QUERY_SECONDS)
    return found


def detached_names(manifest: Manifest) -> tuple[str, str]:
    tables = Tables(manifest.first_day)
    return f"{tables.transactions}_part_{manifest.part}", f"{tables.postings}_part_{manifest.part}"


def month_after(month: datetime.date) -> datetime.date:
    return (month.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)


def _states(rows: Sequence[Any], earlier: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return the states of members who earned in the month."""
    for member_id, group in groupby(rows, key=lambda row: row["member_id"]):
        replay = Replay(Who(member_id, 0, "", "", "", ZoneInfo("UTC"), {}, 1, cluster=False))
        replay.open(earlier.get(member_id, {}), ())
        taken_back_later = set()
        for row in group:
            replay.take(
                Transaction(row["at_ms"], row["kind"], row["subject_id"], movements(row["moves"]), context_of(row))
            )
            if row["taken_back_later"]:
                taken_back_later.add(row["subject_id"])
        yield member_id, replay.state(taken_back_later)
