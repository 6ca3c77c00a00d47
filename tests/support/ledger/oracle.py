"""An outside judge of the invariants: it imports nothing of the product and reads only streams, hashes and SQL.

    find_violations   I1, I2, I7, I8 over everything both stores hold
    Journal           what callers sent and heard; `judge` holds I3, I4, I5, I11 against the ledger

Both answer with sentences; an empty list means that everything holds. Only for a drained ledger: `until_drained` first.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.suite.waiting import wait_until

HotClient = Any
Connection = Any  # an asyncpg connection, or one that a pool lends
EntryId = tuple[int, int]
DRAIN_SECONDS = 30.0


def _entry_id(text: bytes) -> EntryId:
    milliseconds, _, sequence = text.decode().partition("-")
    return int(milliseconds), int(sequence)


async def _streams(hot: HotClient, ledger: Connection) -> dict[int, tuple[int, EntryId]]:
    """By bucket: entries ever added and the last id; buckets without a stream have none."""
    found = {}
    for bucket in range(await ledger.fetchval("SELECT buckets FROM installation")):
        name = f"{{b{bucket}}}:ledger"
        if await hot.exists(name):
            told = await hot.xinfo_stream(name)
            found[bucket] = (int(told["entries-added"]), _entry_id(told["last-generated-id"]))
    return found


async def is_drained(hot: HotClient, ledger: Connection) -> bool:
    """Whether the ledger is as far as every stream: its watermarks are at their ends. Counts of rows cannot tell once a
    bucket had more than one epoch."""
    rows = await ledger.fetch("SELECT bucket, last_ms, last_seq FROM ledger_watermark")
    marks = {row["bucket"]: (row["last_ms"], row["last_seq"]) for row in rows}
    return all(marks.get(bucket, (0, 0)) >= last for bucket, (_, last) in (await _streams(hot, ledger)).items())


async def until_drained(hot: HotClient, ledger: Connection, seconds: float = DRAIN_SECONDS) -> None:
    """Wait until the ledger has every entry."""
    await wait_until("the ledger has every entry", lambda: is_drained(hot, ledger), seconds=seconds)


async def find_violations(hot: HotClient, ledger: Connection) -> list[str]:
    """I1, I2, I7 and I8."""
    return [
        *await _transactions_that_do_not_balance(ledger),
        *await _buckets_that_differ(hot, ledger),
        *await _entries_that_differ(hot, ledger),
        *await _balances_that_differ(hot, ledger),
    ]


async def _transactions_that_do_not_balance(ledger: Connection) -> list[str]:
    """I1: each transaction sums to zero, and per asset issued = available + held + redeemed + expired."""
    wrong = []
    uneven = await ledger.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM ledger_posting GROUP BY bucket, epoch, entry_ms, entry_seq, asset "
        "HAVING sum(amount) <> 0) AS uneven"
    )
    if uneven:
        wrong.append(f"I1: {uneven} transactions do not sum to zero")
    letters = await ledger.fetchval("SELECT count(*) FROM ledger_dead_letter")
    if letters:
        wrong.append(f"{letters} stream entries were not understood by the ledger")
    totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in await ledger.fetch(
        "SELECT asset, account, sum(amount)::bigint AS total FROM ledger_posting GROUP BY asset, account"
    ):
        totals[row["asset"]][row["account"]] = row["total"]
    for asset, of in totals.items():
        spread = of["member_available"] + of["member_held"] + of["business_redeemed"] + of["expired"]
        if -of["business_issued"] != spread:
            wrong.append(f"I1: {asset}: {-of['business_issued']} issued, {spread} found")
        wrong.extend(
            f"I2: {asset}: {account} is {of[account]}"
            for account in ("member_available", "member_held", "business_redeemed", "expired")
            if of[account] < 0
        )
    return wrong


async def _buckets_that_differ(hot: HotClient, ledger: Connection) -> list[str]:
    """I7: entries added = rows of the epoch = what the watermark counted; watermark = last generated id."""
    wrong = []
    rows = {
        row["bucket"]: row["rows"]
        for row in await ledger.fetch(
            "SELECT bucket, count(*) AS rows FROM (SELECT bucket, epoch FROM ledger_transaction UNION ALL "
            "SELECT bucket, epoch FROM ledger_dead_letter) AS written "
            "JOIN ledger_watermark AS mark USING (bucket, epoch) GROUP BY bucket"
        )
    }
    marks = {row["bucket"]: row for row in await ledger.fetch("SELECT * FROM ledger_watermark")}
    streams = await _streams(hot, ledger)
    for bucket, (added, last) in streams.items():
        mark = marks.get(bucket)
        if mark is None:
            wrong.append(f"I7: bucket {bucket} has a stream and no watermark")
            continue
        if not added == rows.get(bucket, 0) == mark["rows_in_epoch"]:
            wrong.append(
                f"I7: bucket {bucket}: {added} added, {rows.get(bucket, 0)} rows, watermark {mark['rows_in_epoch']}"
            )
        if (mark["last_ms"], mark["last_seq"]) != last:
            wrong.append(f"I7: bucket {bucket}: watermark {mark['last_ms']}-{mark['last_seq']}, stream ends {last}")
    wrong.extend(
        f"I7: bucket {bucket} has rows and no stream"
        for bucket, found in rows.items()
        if found and bucket not in streams
    )
    return wrong


async def _entries_that_differ(hot: HotClient, ledger: Connection) -> list[str]:
    """I3 for what the streams still hold: each entry is one transaction, of the same subject and member."""
    wrong = []
    for bucket in await _streams(hot, ledger):
        for entry, fields in await hot.xrange(f"{{b{bucket}}}:ledger"):
            milliseconds, sequence = _entry_id(entry)
            found = await ledger.fetch(
                "SELECT subject_id, member_id FROM ledger_transaction "
                "WHERE (bucket, entry_ms, entry_seq) = ($1, $2, $3)",
                bucket,
                milliseconds,
                sequence,
            )
            _, subject_id, member_id, *_ = fields[b"2"].decode().split("\n")
            told = (subject_id, member_id)
            if [tuple(row) for row in found] != [told]:
                wrong.append(f"I3: entry {bucket}/{entry.decode()} {told}: the ledger has {found}")
    return wrong


async def _balances_that_differ(hot: HotClient, ledger: Connection) -> list[str]:
    """I8: what members have by asset and lot, and the points they have held, replayed from the postings."""
    replayed = {
        (row["owner"], f"{row['asset']}/{row['lot']}"): row["amount"]
        for row in await ledger.fetch(
            "SELECT owner, asset, lot, sum(amount)::bigint AS amount FROM ledger_posting "
            "WHERE account = 'member_available' GROUP BY owner, asset, lot HAVING sum(amount) <> 0"
        )
    }
    replayed |= {
        (row["owner"], "held"): row["amount"]
        for row in await ledger.fetch(
            "SELECT owner, sum(amount)::bigint AS amount FROM ledger_posting "
            "WHERE account = 'member_held' AND asset = 'points' GROUP BY owner HAVING sum(amount) <> 0"
        )
    }
    stored: dict[tuple[str, str], int] = {}
    async for name in hot.scan_iter(match="{b*}:lots:*", count=1000):
        owner = name.decode().rpartition(":")[2]
        stored |= {(owner, lot.decode()): int(amount) for lot, amount in (await hot.hgetall(name)).items()}
    async for name in hot.scan_iter(match="{b*}:member:*", count=1000):
        stored[name.decode().rpartition(":")[2], "held"] = int(await hot.hget(name, "held") or 0)
    wrong = [f"I2: {owner} {what} is {amount}" for (owner, what), amount in stored.items() if amount < 0]
    for owner, what in sorted(replayed.keys() | stored.keys()):
        here, there = stored.get((owner, what), 0), replayed.get((owner, what), 0)
        if here != there:
            wrong.append(f"I8: {owner} {what}: {here} in the hot store, {there} replayed from the ledger")
    return wrong


@dataclass
class Intent:
    """One request that will be sent, and what became of it. `points` is the whole basket's."""

    terminal_id: str
    key: str
    member_id: str
    code: str
    points: int
    outcome: Literal["unknown", "applied", "not_applied"] = "unknown"
    redemption_id: str | None = None


@dataclass
class Journal:
    """Written before a request is sent and after it was answered; what was never answered stays `unknown`."""

    intents: dict[tuple[str, str], Intent] = field(default_factory=dict)

    def intend(self, intent: Intent) -> Intent:
        """Notes what is about to be sent."""
        assert (intent.terminal_id, intent.key) not in self.intents
        self.intents[intent.terminal_id, intent.key] = intent
        return intent

    def heard(self, intent: Intent, status: int, body: Mapping[str, Any]) -> None:
        """Notes an answer. Only an error that says so leaves the outcome unknown."""
        if status == 201:
            if intent.redemption_id not in (None, body["redemption_id"]):
                raise AssertionError(f"{intent} was answered before, and now with {body['redemption_id']}")
            intent.outcome, intent.redemption_id = "applied", body["redemption_id"]
        elif body["outcome"] == "not_applied":
            assert intent.outcome != "applied", f"{intent} was acknowledged, and now {body['code']}"
            intent.outcome = "not_applied"
        else:
            assert status >= 500, f"{status} says {body['outcome']}"

    def count(self, outcome: str) -> int:
        """How many intents have this outcome."""
        return sum(intent.outcome == outcome for intent in self.intents.values())

    def unknown(self) -> list[Intent]:
        """Intents nobody knows the outcome of."""
        return [intent for intent in self.intents.values() if intent.outcome == "unknown"]

    async def judge(self, ledger: Connection) -> list[str]:
        """I3, I4, I5 and I11 against the ledger's transactions and amounts."""
        by_key: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in await ledger.fetch(
            "SELECT t.terminal, t.idempotency_key, t.subject_id, t.member_id, coalesce((SELECT sum(p.amount) FROM "
            "ledger_posting AS p WHERE (p.bucket, p.epoch, p.entry_ms, p.entry_seq) = (t.bucket, t.epoch, t.entry_ms, "
            "t.entry_seq) AND p.asset = 'points' AND p.account = 'business_redeemed'), 0)::bigint AS points "
            "FROM ledger_transaction AS t WHERE t.kind = 'redeem'"
        ):
            by_key[row["terminal"], row["idempotency_key"]].append(row)
        wrong, uses = [], defaultdict(list)
        for intent in self.intents.values():
            rows = by_key.get((intent.terminal_id, intent.key), [])
            wrong.extend(_misjudged(intent, rows))
            if rows:
                uses[intent.code].append(intent.key)
        wrong.extend(f"I11: one code, {len(keys)} redemptions: {keys}" for keys in uses.values() if len(keys) > 1)
        members = {intent.member_id for intent in self.intents.values()}
        wrong.extend(
            f"nobody asked for {rows[0]['subject_id']} of {rows[0]['member_id']}"
            for name, rows in by_key.items()
            if name not in self.intents and rows[0]["member_id"] in members
        )
        return wrong


def _misjudged(intent: Intent, rows: list[Any]) -> list[str]:
    wrong = []
    if len(rows) > 1:
        wrong.append(f"I3: {intent} has {len(rows)} transactions")
    if intent.outcome == "applied" and [row["subject_id"] for row in rows] != [intent.redemption_id]:
        wrong.append(f"I3: {intent} was acknowledged, the ledger has {rows}")
    if intent.outcome == "not_applied" and rows:
        wrong.append(f"I4: {intent} was refused, the ledger has {rows}")
    wrong.extend(
        f"{intent}: the ledger took {row['points']} of {row['member_id']}"
        for row in rows
        if (row["points"], row["member_id"]) != (intent.points, intent.member_id)
    )
    return wrong
