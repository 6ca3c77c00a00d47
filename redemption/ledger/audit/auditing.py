"""`tong audit`: checks that the ledger is consistent, and that the hot store agrees with it.

Guarantees: changes nothing in either store; runs beside a live stack without false alarms (audit_hot.py says how); one
bucket is in memory at a time; every difference is a `Finding` with both of its sides. What it checks:

    I10          the chain against its seals and exported heads, across archived months too (chain_check.py)
    archive      what archived months left behind in PostgreSQL against their signed manifests
    sum, orphan  each transaction sums to zero per asset; no posting is alone
    I1, I2       per asset: issued = available + held + redeemed + expired, nothing negative
    I3, I7       rows of each epoch against watermark and stream; redemption and accrual records have their transaction
    I8, I9       lots, points held and open holds of every member against the ledger
    frozen, dead letter   are findings: somebody has to look

Does not check that the hot store has every record the ledger knows: `tong rebuild --dry-run` does.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from redemption.database import Pool
from redemption.hot import keys
from redemption.ledger.audit.hot_store import BucketMoved, HotAudit, wait_for
from redemption.ledger.audit.ledger import ACCOUNTS_OF_MEMBERS, BucketSnapshot, Evidence, read_bucket
from redemption.ledger.entries import Position
from redemption.ledger.findings import Finding
from redemption.ledger.freezing import Client, frozen_buckets
from redemption.ledger.rebuild import bucket_of_key, kind_of, pages
from redemption.ledger.streams import LedgerStreams
from redemption.queries import named_queries

DRAIN_SECONDS: Final = 30.0
PROGRESS_SECONDS: Final = 2.0
ATTEMPTS: Final = 3
RECORDS: Final = ("redemption", "accrual")


@dataclass(slots=True)
class AuditReport:
    """The extent and the findings of an audit."""

    findings: list[Finding] = field(default_factory=list)
    buckets: int = 0
    rows: int = 0
    rows_not_sealed: int = 0
    rows_archived: int = 0
    not_seen: int = 0  # seals and exported heads in the middle of archived rows whose files were not given
    chain_verified: bool = False
    keys_seen: int = 0
    seconds: float = 0.0


class Audit:
    """One audit. Without a key in its evidence the chain is left out."""

    def __init__(
        self,
        pool: Pool,
        client: Client,
        *,
        evidence: Evidence,
        say: Callable[[str], None] = lambda _: None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._pool = pool
        self._client = client
        self._evidence = evidence
        self._say = say
        self._drain_seconds = drain_seconds
        self._queries = named_queries("ledger", "audit")
        self._totals: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._spoke_at = time.monotonic()
        self._rows_read = 0
        self.report = AuditReport(chain_verified=evidence.key is not None)

    async def run(self, buckets: Sequence[int], *, walk: bool = True) -> AuditReport:
        """Audit these buckets; with `walk` also the keys of the hot store that no member leads to."""
        began = time.monotonic()
        for bucket, reason in (await frozen_buckets(self._client, buckets)).items():
            self.report.findings.append(Finding("frozen", "no value moves", reason, "until `tong rebuild`", bucket))
        for bucket in buckets:
            found = await self._bucket(bucket)
            self.report.findings += found.findings
            self.report.buckets += 1
            self.report.rows += found.rows
            self.report.rows_not_sealed += found.rows - found.sealed_rows
            self.report.rows_archived += sum(found.archived.values())
            self.report.not_seen += found.not_seen
            for (asset, account), total in found.totals.items():
                self._totals[asset][account] += total
            self._progress(f"bucket {self.report.buckets} of {len(buckets)}, {self.report.rows} rows")
        self._equations()
        if walk:
            await self._walk(set(buckets))
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _bucket(self, bucket: int) -> BucketSnapshot:
        for attempt in range(1, ATTEMPTS + 1):
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                found = await read_bucket(connection, bucket, self._evidence, self._tick)
            frozen = (await frozen_buckets(self._client, [bucket])).get(bucket)
            try:
                await HotAudit(self._pool, self._client, found, self._drain_seconds, frozen).compare()
            except BucketMoved:
                if attempt == ATTEMPTS:
                    found.findings.append(
                        Finding("I7", "epoch", "changes all the time", "is a rebuild running?", bucket)
                    )
                continue
            break
        return found

    def _equations(self) -> None:
        for asset, of in sorted(self._totals.items()):
            spread = sum(of[account] for account in ACCOUNTS_OF_MEMBERS)
            if -of["business_issued"] != spread:
                self.report.findings.append(
                    Finding(
                        "I1",
                        asset,
                        f"{-of['business_issued']} issued",
                        f"{spread} = " + " + ".join(f"{of[account]} {account}" for account in ACCOUNTS_OF_MEMBERS),
                    )
                )
            self.report.findings += [
                Finding("I2", f"{asset} {account}", f"{of[account]} in the ledger", "nothing may be negative")
                for account in ACCOUNTS_OF_MEMBERS
                if of[account] < 0
            ]

    async def _walk(self, buckets: set[int]) -> None:
        """Read every key of the hot store once: records without a transaction, lots of an unknown member."""
        async for page in pages(self._client, "{b*}:*"):
            self.report.keys_seen += len(page)
            named = [name for name in page if bucket_of_key(name) in buckets]
            records = {_subject(name): name for name in named if kind_of(name) in RECORDS}
            self.report.findings += [
                Finding("I3", subject, "a record in the hot store", "no transaction", bucket_of_key(records[subject]))
                for subject in await self._without_transaction(records)
            ]
            owners = {_subject(name): name for name in named if kind_of(name) == "lots"}
            for owner in await self._unknown("members_known", owners.keys()):
                held = {lot.decode(): int(n) for lot, n in (await self._client.hgetall(owners[owner])).items()}
                if held:
                    self.report.findings.append(
                        Finding("I8", owner, f"hot store {held}", "no such member", bucket_of_key(owners[owner]))
                    )
            self._progress(f"{self.report.keys_seen} keys of the hot store")

    async def _unknown(self, query: str, names: Iterable[str]) -> list[str]:
        wanted = list(names)
        if not wanted:
            return []
        known = {row[0] for row in await self._pool.fetch(self._queries[query], wanted)}
        return sorted(set(wanted) - known)

    async def _without_transaction(self, records: Mapping[str, bytes]) -> list[str]:
        """Return subjects that have no transaction once the ledger has caught up, and whose record still exists."""
        missing = await self._unknown("subjects_known", records.keys())
        if not missing:
            return []
        for bucket in sorted({bucket_of_key(records[subject]) or 0 for subject in missing}):
            await self._caught_up(bucket)
        missing = await self._unknown("subjects_known", missing)
        return [subject for subject in missing if await self._client.exists(records[subject])]

    async def _caught_up(self, bucket: int) -> None:
        """Wait until the ledger has what the bucket's stream has now; not where the bucket is frozen."""
        sight = (await LedgerStreams(self._client).look([bucket]))[bucket]

        async def there() -> bool:
            row = await self._pool.fetchrow(self._queries["watermark"], bucket)
            return row is not None and (
                row["epoch"] != sight.epoch or Position(row["last_ms"], row["last_seq"]) >= sight.last
            )

        if not await self._client.exists(keys.frozen(bucket)):
            await wait_for(there, self._drain_seconds)

    def _tick(self, rows: int) -> None:
        self._rows_read += rows
        self._progress(f"{self._rows_read} rows of the chain")

    def _progress(self, text: str) -> None:
        if time.monotonic() - self._spoke_at >= PROGRESS_SECONDS:
            self._spoke_at = time.monotonic()
            self._say(text)


def _subject(name: bytes) -> str:
    return name.split(b":", 2)[2].decode(errors="replace")
