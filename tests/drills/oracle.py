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

from tests.drills import layout
from tests.drills.journal import Entry, Record
from tests.drills.story import stories

HotClient = Any
Connection = Any
Place = tuple[int, int, int]
"""Bucket, milliseconds and sequence of a stream entry."""
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
    found = [
        *await _sums(books),
        *await _streams(books),
        *await _seen_entries(books),
        *await _balances(books),
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


async def _sums(books: Books) -> list[str]:
    """I1 and I2 over the whole ledger."""
    wrong = []
    if uneven := await books.ledger.fetchval(layout.UNBALANCED):
        wrong.append(f"I1: {uneven} transactions do not sum to zero")
    letters = await books.ledger.fetchval(layout.DEAD_LETTERS)
    if letters != books.dead_letters:
        wrong.append(f"I7: {letters} dead letters, {books.dead_letters} were put in")
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for row in await books.ledger.fetch(layout.TOTALS):
        totals[row["asset"]][row["account"]] = row["total"]
    for asset, of in totals.items():
        places = ("member_available", "member_held", "business_redeemed", "expired")
        if -of["business_issued"] != sum(of[place] for place in places):
            wrong.append(f"I1: {asset}: {-of['business_issued']} issued, {sum(of[place] for place in places)} found")
        wrong += [f"I2: {asset}: {place} is {of[place]}" for place in places if of[place] < 0]
    return wrong


async def _streams(books: Books) -> list[str]:
    """I7: entries added = rows of the epoch = what the watermark counted; the watermark is where the stream ends."""
    wrong = []
    rows = {(row["bucket"], row["epoch"]): row["rows"] for row in await books.ledger.fetch(layout.ROWS_OF_EPOCHS)}
    for mark in await books.ledger.fetch(layout.WATERMARKS):
        bucket, name = mark["bucket"], layout.stream(mark["bucket"])
        added, last = 0, "0-0"
        if await books.hot.exists(name):
            told = await books.hot.xinfo_stream(name)
            added, last = int(told["entries-added"]), told["last-generated-id"].decode()
        written = rows.get((bucket, mark["epoch"]), 0)
        if not added == written == mark["rows_in_epoch"]:
            wrong.append(f"I7: bucket {bucket}: {added} added, {written} rows, watermark {mark['rows_in_epoch']}")
        if written and f"{mark['last_ms']}-{mark['last_seq']}" != last:
            wrong.append(f"I7: bucket {bucket}: watermark {mark['last_ms']}-{mark['last_seq']}, stream ends {last}")
    return wrong


async def _seen_entries(books: Books) -> list[str]:
    """I3: what anybody ever saw in a stream is in the ledger once, move by move."""
    wrong = []
    seen = {(bucket, entry): layout.parts(fields) for bucket, entry, fields in books.record.seen}
    for bucket in range(layout.BUCKETS):
        for identifier, raw in await layout.entries(books.hot, bucket):
            seen[bucket, identifier.decode()] = {name.decode(): value.decode() for name, value in raw.items()}
    found: dict[Place, list[tuple[Any, ...]]] = defaultdict(list)
    for bucket, ms, seq, *told in await books.ledger.fetch(layout.ENTRIES):
        found[bucket, ms, seq].append(tuple(told))
    postings: dict[Place, list[tuple[Any, ...]]] = defaultdict(list)
    for bucket, ms, seq, *line in await books.ledger.fetch(layout.POSTINGS):
        postings[bucket, ms, seq].append(tuple(line))
    for (bucket, entry), fields in seen.items():
        if "moves" not in fields or "id" not in fields:
            continue  # what a drill put in; the dead letters are counted
        ms, _, seq = entry.partition("-")
        place = (bucket, int(ms), int(seq))
        expected = (fields["id"], fields["member"], fields["kind"])
        if found[place] != [expected]:
            wrong.append(f"I3: entry {bucket}/{entry} is {expected}, the ledger has {found[place]}")
        elif postings[place] != _postings(fields["moves"]):
            wrong.append(f"I3: entry {bucket}/{entry} moves {fields['moves']}, the ledger has {postings[place]}")
    return wrong


def _postings(moves: str) -> list[tuple[str, str, str, int]]:
    """Asset, lot, account, amount of the two postings of each move."""
    found = []
    for move in filter(None, moves.split(";")):
        asset, lot, source, target, amount = move.split(",")
        found += [(asset, lot, layout.LETTERS[source], -int(amount)), (asset, lot, layout.LETTERS[target], int(amount))]
    return found


async def _balances(books: Books) -> list[str]:
    """I2 and I8: what members hold in the hot store = what the ledger's postings leave them."""
    replayed = {
        (row["owner"], f"{row['asset']}/{row['lot']}"): row["amount"]
        for row in await books.ledger.fetch(layout.BALANCES)
    }
    replayed |= {(row["owner"], "held"): row["amount"] for row in await books.ledger.fetch(layout.POINTS_HELD)}
    stored: dict[tuple[str, str], int] = {}
    async for name in books.hot.scan_iter(match=layout.ALL_LOTS, count=1_000):
        owner = layout.member_of_key(name)
        stored |= {(owner, lot.decode()): int(amount) for lot, amount in (await books.hot.hgetall(name)).items()}
    async for name in books.hot.scan_iter(match=layout.ALL_MEMBERS, count=1_000):
        stored[layout.member_of_key(name), "held"] = int(await books.hot.hget(name, layout.HELD_FIELD) or 0)
    wrong = [f"I2: {owner} {what} is {amount}" for (owner, what), amount in stored.items() if amount < 0]
    for place in sorted(replayed.keys() | stored.keys()):
        here, there = stored.get(place, 0), replayed.get(place, 0)
        if here != there:
            wrong.append(f"I8: {place[0]} {place[1]}: {here} in the hot store, {there} replayed from the ledger")
    return wrong


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
    """I5, I6, I12: what callers heard, over all attempts of one intent, is one story."""
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
    """I1, I3, I5, I9 of each redemption: the ledger holds and has redeemed of it what its story says."""
    wrong = []
    for subject, story in stories(books.record).items():
        sums = books.sums.get(subject, {})
        ended_by_clock = any(row["kind"] == "release" for row in books.by_subject[subject])
        for asset, taken in story.takes.items():
            held = redeemed = 0
            if story.cancelled or story.voided or story.refunded_all:
                pass
            elif story.hold and story.captured is None:
                held = 0 if ended_by_clock else taken
            else:
                redeemed = (taken if story.captured is None else story.captured.get(asset, 0)) - story.refunded[asset]
            found = (sums.get((asset, "member_held"), 0), sums.get((asset, "business_redeemed"), 0))
            if found != (held, redeemed):
                wrong.append(
                    f"I3: {subject} {asset}: the ledger has {found} held and redeemed, its story says {held, redeemed}"
                )
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
