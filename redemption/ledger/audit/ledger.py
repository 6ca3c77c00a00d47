"""The part of the audit that needs the ledger alone: the chain, the sums, the counts. One bucket, one snapshot."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redemption.database import Connection
from redemption.ledger.chain import BEGINNING, Head, Place, SealKey
from redemption.ledger.chain_check import ChainCheck
from redemption.ledger.findings import Finding
from redemption.ledger.manifest import Gap, archived_rows, gaps_of, opening_hash, read_parts
from redemption.queries import named_queries

FINDINGS_MAX: Final = 100  # of one kind in one bucket; the count goes on
QUERY_SECONDS: Final = 3_600.0
ACCOUNTS_OF_MEMBERS: Final = ("member_available", "member_held", "business_redeemed", "expired")
MEMBERS_OWN: Final = ("member_available", "member_held")

Holding = dict[tuple[str, str, str], int]  # (account, asset, lot) -> amount


@dataclass(slots=True)
class BucketSnapshot:
    """The ledger's state of a bucket at its watermark."""

    bucket: int
    mark: Place
    rows: int = 0
    sealed_rows: int = 0
    archived: dict[int, int] = field(default_factory=dict)  # rows of each epoch that are in files
    not_seen: int = 0  # seals and heads in the middle of archived rows whose files were not given
    totals: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    holdings: defaultdict[str, Holding] = field(default_factory=lambda: defaultdict(dict))
    holds: defaultdict[str, dict[tuple[str, str], int]] = field(default_factory=lambda: defaultdict(dict))
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence to compare the ledger with: the key of its chain, exported heads, the folder of archived parts."""

    key: SealKey | None
    heads: Sequence[Head] = ()
    archive: Path | None = None


async def read_bucket(
    connection: Connection, bucket: int, evidence: Evidence, tick: Callable[[int], None]
) -> BucketSnapshot:
    """Read everything of one bucket.

    The connection is in a new repeatable-read transaction. `tick` receives the number of rows read. Raises
    `ArchiveDamaged` where the archive's own table cannot be read.
    """
    queries = named_queries("ledger", "audit")
    await connection.execute(queries["keep_months"])
    mark = await connection.fetchrow(queries["watermark"], bucket)
    if mark is None:
        return BucketSnapshot(bucket, BEGINNING)
    found = BucketSnapshot(bucket, Place(mark["epoch"], mark["last_ms"], mark["last_seq"]))
    gaps = gaps_of(await read_parts(connection), bucket)
    found.archived = archived_rows(gaps)
    await _sums(connection, found)
    await _counts(connection, found, mark["rows_in_epoch"])
    await _openings(connection, found, gaps, evidence.key)
    if evidence.key is not None:
        await _chain(connection, found, evidence.key, gaps, evidence, tick)
    for row in await connection.fetch(queries["balances"], bucket, timeout=QUERY_SECONDS):
        found.totals[row["asset"], row["account"]] += row["amount"]
        if row["account"] in MEMBERS_OWN:
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


async def _counts(connection: Connection, found: BucketSnapshot, rows_in_epoch: int) -> None:
    queries, bucket = named_queries("ledger", "audit"), found.bucket
    counted = {
        row["epoch"]: row["rows"]
        for row in await connection.fetch(queries["rows_of_epochs"], bucket, timeout=QUERY_SECONDS)
    }
    for epoch, rows in found.archived.items():
        counted[epoch] = counted.get(epoch, 0) + rows
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


async def _openings(connection: Connection, found: BucketSnapshot, gaps: Sequence[Gap], key: SealKey | None) -> None:
    """Check that the state left behind by archived parts matches their signed manifests."""
    for part in {gap.part.manifest.part: gap.part for gap in gaps}.values():
        name, of_bucket = part.manifest.name, part.manifest.of_bucket(found.bucket)
        if key is not None and not part.signed_with(key):
            found.findings.append(
                Finding("I10", f"archived part {name}", "its manifest", "is not signed with this key", found.bucket)
            )
        if of_bucket is not None:
            computed = await opening_hash(connection, part.manifest.part, found.bucket)
            if computed != of_bucket.opening_sha256:
                found.findings.append(
                    Finding(
                        "archive",
                        f"opening balances of part {name}",
                        f"SHA-256 {computed[:16]} in PostgreSQL",
                        f"{of_bucket.opening_sha256[:16]} in the manifest",
                        found.bucket,
                    )
                )


async def _chain(
    connection: Connection,
    found: BucketSnapshot,
    key: SealKey,
    gaps: Sequence[Gap],
    evidence: Evidence,
    tick: Callable[[int], None],
) -> None:
    said = 0

    def say(subject: str, one_side: str, other_side: str) -> None:
        nonlocal said
        said += 1
        if said <= FINDINGS_MAX:
            found.findings.append(Finding("I10", subject, one_side, other_side, found.bucket))

    check = ChainCheck(found.bucket, key, say, heads=evidence.heads, gaps=gaps, folder=evidence.archive)
    await check.verify(connection, found.mark, tick)
    found.sealed_rows, found.not_seen = check.sealed_rows, check.not_seen
