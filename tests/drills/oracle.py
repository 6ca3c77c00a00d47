"""The judge of a drill: I1 to I12 from the journal's file, the raw hot store and SQL. It imports nothing of the
product.

Answers with sentences, each beginning with the invariant it breaks; an empty list means that everything holds. Only for
a stack at rest: every unknown resolved, the ledger drained and sealed (tests/drills/rest.py).
"""

import hmac
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest import layout
from loadtest.auditor import find_violations
from tests.drills.history import histories
from tests.drills.journal import Entry, Record

HotClient = Any
Connection = Any
SENTENCES_MAX = 12  # of one kind: enough to see what it is


@dataclass
class Books:
    """Everything the judge reads, read once."""

    record: Record
    hot: HotClient
    ledger: Connection
    seal_key: bytes
    heads: Mapping[int, tuple[int, bytes]]
    """Exported before the fault: by bucket, rows sealed and their mac."""
    dead_letters: int = 0
    """How many the drill put in itself."""
    by_key: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    by_subject: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    sums: dict[str, dict[tuple[str, str], int]] = field(default_factory=lambda: defaultdict(dict))

    async def read(self) -> None:
        members = list(self.record.members)
        for row in await self.ledger.fetch(layout.TRANSACTIONS, members):
            self.by_subject[row["subject_id"]].append(row)
            if row["idempotency_key"]:
                self.by_key[row["terminal"], row["idempotency_key"]].append(row)
        for row in await self.ledger.fetch(layout.SUMS_OF_SUBJECTS, members):
            self.sums[row["subject_id"]][row["asset"], row["account"]] = row["amount"]


async def judge(books: Books) -> list[str]:
    """What is wrong, in sentences."""
    await books.read()
    seen = {(bucket, entry): layout.parts(fields) for bucket, entry, fields in books.record.seen}
    found = [
        *await find_violations(books.hot, books.ledger, dead_letters=books.dead_letters, seen=seen),
        *await _holds(books),
        *await _chain(books),
        *_answers(books),
        *_keys(books),
        *_subjects(books),
        *_codes(books),
    ]
    shown: Counter[str] = Counter()
    kept = []
    for sentence in found:
        kind = sentence.partition(":")[0]
        shown[kind] += 1
        if shown[kind] <= SENTENCES_MAX:
            kept.append(sentence)
    return kept + [f"{kind}: and {n - SENTENCES_MAX} more" for kind, n in shown.items() if n > SENTENCES_MAX]


async def _holds(books: Books) -> list[str]:
    """I9: what the ledger holds is among the deadlines, and nothing else; no deadline is over."""
    wrong = []
    open_holds = {row["subject_id"] for row in await books.ledger.fetch(layout.OPEN_HOLDS)}
    seconds, microseconds = await books.hot.time()
    now_ms = seconds * 1000 + microseconds // 1000
    waiting: dict[str, float] = {}
    for bucket in range(layout.BUCKETS):
        for name, score in await books.hot.zrange(layout.holds(bucket), 0, -1, withscores=True):
            waiting[name.decode()] = score
    wrong += [f"I9: {subject} is held and has no deadline" for subject in open_holds - waiting.keys()]
    wrong += [f"I9: {subject} has a deadline and is not held" for subject in waiting.keys() - open_holds]
    wrong += [f"I9: {s}: its deadline is {now_ms - at:.0f} ms ago" for s, at in waiting.items() if at < now_ms - 5_000]
    ends = ("capture", "release", "reverse")
    for subject, rows in books.by_subject.items():
        kinds = Counter(row["kind"] for row in rows)
        if kinds["hold"] and sum(kinds[end] for end in ends[:2]) > 1:
            wrong.append(f"I9: {subject} has several ends: {dict(kinds)}")
    return wrong


async def _chain(books: Books) -> list[str]:
    """I10: recomputed from the rows, the chain leads to every seal, and to the heads exported before the fault."""
    wrong = []
    seals: dict[int, dict[int, bytes]] = defaultdict(dict)
    for row in await books.ledger.fetch(layout.SEALS):
        seals[row["bucket"]][row["rows_sealed"]] = row["mac"]
    for bucket, (rows, mac) in books.heads.items():
        if seals[bucket].get(rows) != mac:
            wrong.append(f"I10: bucket {bucket}: the head exported at {rows} rows is not among its seals")
    for bucket, of in seals.items():
        mac = hmac.digest(books.seal_key, layout.first_link(bucket), "sha256")
        for number, content in enumerate(await _chained_rows(books, bucket), 1):
            mac = hmac.digest(books.seal_key, mac + content, "sha256")
            if number in of and of[number] != mac:
                wrong.append(f"I10: bucket {bucket}: the chain does not lead to the seal at row {number}")
                break
        else:
            if max(of) > number:
                wrong.append(f"I10: bucket {bucket}: {max(of)} rows were sealed, {number} are there")
    return wrong


async def _chained_rows(books: Books, bucket: int) -> list[bytes]:
    rows: list[bytes] = []
    for row in await books.ledger.fetch(layout.CHAINED, bucket):
        text = row["content"].encode()
        link = len(text).to_bytes(4, "big") + text
        if row["part"] == 0:
            rows.append(link)
        else:
            rows[-1] += link
    return rows


def _answers(books: Books) -> list[str]:
    """I5, I6, I12: what callers heard, over all attempts of one intent, is one history."""
    wrong = []
    for entry in books.record.entries.values():
        intent, settled = entry.intent, entry.settled
        name = f"{intent.kind} {intent.terminal_id} {intent.key or intent.of}"
        if settled is None:
            if entry.outcome == "unknown":
                wrong.append(f"I5: {name} stays unknown: {[answer.status for answer in entry.answers]}")
            continue
        wrong += [f"unforeseen: {name}: {a.status} {a.body}" for a in entry.answers if a.status == 500]
        if intent.expected and settled.outcome != "refused":
            invariant = {"idempotency_key_reused": "I6", "cancelled": "I12"}.get(intent.expected, "I4")
            if not (intent.expected == "cancelled" and not _cancelled_first(books.record, entry)):
                wrong.append(f"{invariant}: {name} was to be refused {intent.expected}: {settled.status}")
        if intent.kind == "reuse" and settled.status != 422:
            wrong.append(f"I6: {name}: {settled.status} {settled.code} instead of 422")
        after = entry.answers[entry.answers.index(settled) + 1 :]
        for later in after:
            if settled.outcome == "refused" and later.outcome == "applied":
                wrong.append(f"I12: {name} was refused {settled.code}, and applied later")
            elif settled.outcome == "applied" and later.outcome == "applied" and intent.kind != "cancel":
                if (later.status, later.digest) != (settled.status, settled.digest):
                    wrong.append(f"I5: {name}: a repeat was answered otherwise: {settled.body} and {later.body}")
            elif settled.outcome == "applied" and later.outcome == "refused" and later.code != "cancelled":
                wrong.append(f"I5: {name} was acknowledged, and later {later.code}")
    return wrong


def _cancelled_first(record: Record, late: Entry) -> bool:
    """Whether a tombstone for it was acknowledged, so that it may never apply."""
    cancels = [entry for entry in record.of_kind("cancel") if entry.intent.of == late.intent.n]
    return any(entry.settled is not None and entry.settled.body.get("effect") == "tombstoned" for entry in cancels)


_WRITES = {
    "verify": {"redeem"},
    "hold": {"hold"},
    "capture": {"capture"},
    "void": {"release"},
    "refund": {"refund"},
    "accrue": {"accrue"},
    "reverse_accrual": {"reverse"},
}


def _keys(books: Books) -> list[str]:
    """I3, I4: acknowledged is one transaction of that key, refused is none; and nothing that nobody asked for."""
    wrong, asked = [], set()
    for entry in books.record.of_kind(*_WRITES):
        intent = entry.intent
        assert intent.key is not None
        asked.add((intent.terminal_id, intent.key))
        rows = [r for r in books.by_key[intent.terminal_id, intent.key] if r["kind"] in _WRITES[intent.kind]]
        subjects = [row["subject_id"] for row in rows]
        name = f"{intent.kind} {intent.terminal_id} {intent.key}"
        settled = entry.settled
        if len(rows) > 1:
            wrong.append(f"I3: {name} has {len(rows)} transactions: {subjects}")
        elif settled is None:
            if entry.outcome == "turned_away" and rows:
                wrong.append(f"I4: {name} was told that nothing was applied, the ledger has {subjects}")
        elif settled.outcome == "refused" and settled.code == "cancelled":
            continue  # whether it came to something before it was cancelled is judged by its subject
        elif settled.outcome == "applied" and subjects != [settled.subject or intent.subject]:
            wrong.append(
                f"I3: {name} was acknowledged as {settled.subject or intent.subject}, the ledger has {subjects}"
            )
        elif settled.outcome == "refused" and rows:
            wrong.append(f"I4: {name} was refused {settled.code}, the ledger has {subjects}")
        wrong += [
            f"I3: {name}: {row['member_id']} instead of {intent.member_id}"
            for row in rows
            if row["member_id"] != intent.member_id
        ]
    scans = {"redeem", "hold", "accrue"}
    for name_of_key, rows in books.by_key.items():
        if name_of_key not in asked and any(row["kind"] in scans for row in rows):
            wrong.append(f"I4: nobody asked for {rows[0]['subject_id']} under {name_of_key}")
    return wrong


def _subjects(books: Books) -> list[str]:
    """I1, I3, I5, I9 of each redemption: the ledger holds and has redeemed of it what its history says."""
    wrong = []
    for subject, history in histories(books.record).items():
        sums = books.sums.get(subject, {})
        ended_by_clock = any(row["kind"] == "release" for row in books.by_subject[subject])
        for asset, taken in history.takes.items():
            held = redeemed = 0
            if history.cancelled or history.voided or history.refunded_all:
                pass
            elif history.hold and history.captured is None:
                held = 0 if ended_by_clock else taken
            else:
                redeemed = (taken if history.captured is None else history.captured.get(asset, 0)) - history.refunded[
                    asset
                ]
            found = (sums.get((asset, "member_held"), 0), sums.get((asset, "business_redeemed"), 0))
            if found != (held, redeemed):
                wrong.append(f"I3: {subject} {asset}: the ledger has {found} held and redeemed, not {held, redeemed}")
            lots = sum(sums.get((asset, account), 0) for account in ("member_available", "expired"))
            if lots != -(held + redeemed):
                wrong.append(f"I1: {subject} {asset}: {lots} moved at the member, {held + redeemed} elsewhere")
    return wrong


def _codes(books: Books) -> list[str]:
    """I11: one code, at most one redemption."""
    uses: dict[str, set[str]] = defaultdict(set)
    for entry in books.record.of_kind("verify", "hold"):
        intent = entry.intent
        assert intent.key is not None
        for row in books.by_key[intent.terminal_id, intent.key]:
            if row["kind"] in ("redeem", "hold"):
                uses[intent.code].add(row["subject_id"])
    return [
        f"I11: one code, {len(subjects)} redemptions: {subjects}" for subjects in uses.values() if len(subjects) > 1
    ]
