"""The part of the audit that needs the ledger alone: the chain, the sums, the counts. One bucket, one snapshot."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from redemption.database import Connection
from redemption.ledger.chain import BEGINNING, Head, Place, SealKey, all_links, beginning, extended, head_of
from redemption.ledger.findings import Finding
from redemption.queries import named_queries

FINDINGS_MAX: Final = 100  # of one kind in one bucket; the count goes on
QUERY_SECONDS: Final = 3_600.0
ACCOUNTS_OF_MEMBERS: Final = ("member_available", "member_held", "business_redeemed", "expired")

Holding = dict[tuple[str, str, str], int]  # (account, asset, lot) -> amount


@dataclass(slots=True)
class BucketSnapshot:
    """What the ledger says of a bucket at its watermark."""

    bucket: int
    mark: Place
    rows: int = 0
    sealed_rows: int = 0
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    holdings: defaultdict[str, Holding] = field(default_factory=lambda: defaultdict(dict))
    holds: defaultdict[str, dict[tuple[str, str], int]] = field(default_factory=lambda: defaultdict(dict))
    findings: list[Finding] = field(default_factory=list)


async def read_bucket(
    connection: Connection, bucket: int, key: SealKey | None, heads: Sequence[Head], tick: Callable[[int], None]
) -> BucketSnapshot:
    """Everything of one bucket. The connection is in a repeatable-read transaction. `tick` is told of rows read."""
    queries = named_queries("ledger", "audit")
    mark = await connection.fetchrow(queries["watermark"], bucket)
    if mark is None:
        return BucketSnapshot(bucket, BEGINNING)
    found = BucketSnapshot(bucket, Place(mark["epoch"], mark["last_ms"], mark["last_seq"]))
    await _sums(connection, found)
    await _counts(connection, found, mark["rows_in_epoch"])
    if key is not None:
        await _Chain(found, key, heads).verify(connection, tick)
    for row in await connection.fetch(queries["balances"], bucket, timeout=QUERY_SECONDS):
        found.holdings[row["owner"]][row["account"], row["asset"], row["lot"]] = row["amount"]
    for row in await connection.fetch(queries["open_holds"], bucket, timeout=QUERY_SECONDS):
        found.holds[row["subject_id"]][row["asset"], row["lot"]] = row["amount"]
    return found


async def _sums(connection: Connection, found: BucketSnapshot) -> None:
    queries, bucket = named_queries("ledger", "audit"), found.bucket
    for row in await connection.fetch(queries["unbalanced"], bucket, FINDINGS_MAX, timeout=QUERY_SECONDS):
        place = Place(row["epoch"], row["entry_ms"], row["entry_seq"])
        found.findings.append(
            Finding("sum", f"{place} {row['asset']}", f"postings sum to {row['total']}", "must be 0", bucket)
        )
    for row in await connection.fetch(queries["orphans"], bucket, FINDINGS_MAX, timeout=QUERY_SECONDS):
        place = Place(row["epoch"], row["entry_ms"], row["entry_seq"])
        found.findings.append(Finding("orphan", f"{place}", f"postings of {row['owner']}", "no transaction", bucket))
    for row in await connection.fetch(queries["dead_letters"], bucket, FINDINGS_MAX, timeout=QUERY_SECONDS):
        place = Place(row["epoch"], row["entry_ms"], row["entry_seq"])
        found.findings.append(Finding("dead letter", f"{place}", "in the stream", row["reason"], bucket))
    for row in await connection.fetch(queries["totals"], bucket, timeout=QUERY_SECONDS):
        found.totals[row["asset"], row["account"]] = row["total"]


async def _counts(connection: Connection, found: BucketSnapshot, rows_in_epoch: int) -> None:
    queries, bucket = named_queries("ledger", "audit"), found.bucket
    counted = {
        row["epoch"]: row["rows"]
        for row in await connection.fetch(queries["rows_of_epochs"], bucket, timeout=QUERY_SECONDS)
    }
    found.rows = sum(counted.values())
    said = {row["epoch"]: row["rows_in_epoch"] for row in await connection.fetch(queries["closed_epochs"], bucket)}
    said[found.mark.epoch] = rows_in_epoch
    for epoch in sorted(said.keys() | counted.keys()):
        if said.get(epoch, 0) != counted.get(epoch, 0):
            found.findings.append(
                Finding(
                    "I7",
                    f"epoch {epoch}",
                    f"the watermark counted {said.get(epoch, 0)} rows",
                    f"the ledger has {counted.get(epoch, 0)}",
                    bucket,
                )
            )


class _Chain:
    """Runs along a bucket once, holding the chain against its seals and against exported heads."""

    def __init__(self, found: BucketSnapshot, key: SealKey, heads: Sequence[Head]) -> None:
        self._found = found
        self._key = key
        self._heads = sorted((head for head in heads if head.bucket == found.bucket), key=lambda head: head.place)
        self._genuine = beginning(found.bucket, key)  # from the first row on, whatever the seals say
        self._trusted = self._genuine  # begins again at each seal, so that every broken stretch is named
        self._seal: Head | None = None

    async def verify(self, connection: Connection, tick: Callable[[int], None]) -> None:
        seals = self._seals(connection)
        self._seal = await anext(seals, None)
        async for batch in all_links(connection, self._found.bucket, BEGINNING, self._found.mark):
            for link in batch:
                while self._seal is not None and self._seal.place < link.place:
                    self._broken(self._seal, "the row it ends with is not there")
                    self._seal = await anext(seals, None)
                self._heads_before(link.place)
                same = self._trusted is self._genuine
                self._genuine = extended(self._genuine, self._key, link)
                self._trusted = self._genuine if same else extended(self._trusted, self._key, link)
                if self._heads and self._heads[0].place == link.place:
                    self._hold_against(self._heads.pop(0))
                if self._seal is not None and self._seal.place == link.place:
                    self._close(self._seal)
                    self._seal = await anext(seals, None)
            tick(len(batch))
        while self._seal is not None:
            self._broken(self._seal, "the ledger ends before it")
            self._seal = await anext(seals, None)
        self._heads_before(Place(2**31, 0, 0))

    async def _seals(self, connection: Connection) -> AsyncIterator[Head]:
        number = 0
        cursor = connection.cursor(
            named_queries("ledger", "seal")["seals_of_bucket"],
            self._found.bucket,
            prefetch=1_000,
            timeout=QUERY_SECONDS,
        )
        async for row in cursor:
            seal = head_of(self._found.bucket, row)
            if seal.number != number + 1:
                self._say(f"seals {number + 1} to {seal.number - 1}", "not there", f"seal {seal.number} is")
            number = seal.number
            yield seal

    def _close(self, seal: Head) -> None:
        chain = self._trusted
        if seal.key_id != self._key.key_id:
            self._say(f"seal {seal.number}", f"made with key {seal.key_id}", f"this key is {self._key.key_id}")
        elif (chain.mac, chain.rows) != (seal.mac, seal.rows):
            self._broken(seal, f"{chain.rows} rows up to there now")
            return
        self._found.sealed_rows = seal.rows
        self._trusted = chain

    def _broken(self, seal: Head, why: str) -> None:
        since = self._found.sealed_rows
        self._say(
            f"rows {since + 1} to {seal.rows}, up to {seal.place}",
            f"sealed as {seal.rows} rows, mac {seal.mac.hex()[:16]}",
            f"{why}: a row was changed, removed or put in",
        )
        self._found.sealed_rows = seal.rows
        self._trusted = Head(seal.bucket, seal.number, seal.place, seal.rows, seal.rows_in_epoch, seal.key_id, seal.mac)

    def _heads_before(self, place: Place) -> None:
        while self._heads and self._heads[0].place < place:
            head = self._heads.pop(0)
            self._say(f"exported head at {head.place}", f"{head.rows} rows", "that row is not in the ledger")

    def _hold_against(self, head: Head) -> None:
        if head.key_id != self._key.key_id:
            self._say(f"exported head at {head.place}", f"key {head.key_id}", f"this key is {self._key.key_id}")
        elif (head.mac, head.rows) != (self._genuine.mac, self._genuine.rows):
            self._say(
                f"exported head at {head.place}",
                f"{head.rows} rows, mac {head.mac.hex()[:16]}",
                f"{self._genuine.rows} rows, mac {self._genuine.mac.hex()[:16]} computed",
            )

    def _say(self, subject: str, one_side: str, other_side: str) -> None:
        if sum(finding.check == "I10" for finding in self._found.findings) < FINDINGS_MAX:
            self._found.findings.append(Finding("I10", subject, one_side, other_side, self._found.bucket))
