"""One member's history, replayed: the expected state of the member's keys in the hot store, from the ledger alone.

Guarantees: given the member's transactions in stream order, the image has the same lots, points held, growth, points
owed, redemption and accrual records, open holds, counters of uses, marks of used codes and idempotency records of
applied calls as the functions of redemption/hot/functions left behind, byte for byte, but for:

  * `tier` and `name` of a record are the member's of today, not of the moment (the entry does not say them);
  * refused keys, tombstones, rates, guesses and the mark of a minute against duplicates are in no ledger and are not
    restored; nor is that a redemption which had ended before was cancelled once more;
  * what was written before entries carried `context.restore`: its keys and code marks are not restored.

Pure: knows no store and reads no clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from redemption.domain.limits import CODE_MARKER_SECONDS, REDEMPTION_RETENTION_SECONDS, USES_SECONDS
from redemption.domain.members import member_number
from redemption.domain.records import record_text
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS
from redemption.hot import keys
from redemption.ledger.expected_state import (
    ExpectedState,
    Part,
    Record,
    Transaction,
    Who,
    basket_of,
    context_text,
    month_of,
    moved,
    parts_of,
    place_of,
    progress,
)


class Replay:
    """A replay of one member's transactions in order; `image` returns the expected state at a moment."""

    def __init__(self, who: Who) -> None:
        self._who = who
        self._lots: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._state: dict[str, str] = {}
        self._numbers = {"held": 0, "growth": 0, "owed": 0}
        self._touched: set[str] = set()
        self._records: dict[str, Record] = {}
        self._counters: dict[str, dict[str, int]] = {}
        self._extra = ExpectedState()
        self._accrued_before: set[str] = set()

    def open(self, state: Mapping[str, Any], lots: Iterable[tuple[str, str, int]]) -> None:
        """Take the member's state after the archived months; before any transaction."""
        for asset, lot, amount in lots:
            self._lots[asset, lot] += amount
        for name, amount in state.get("numbers", {}).items():
            self._add(name, amount)
        self._state |= state.get("purchase", {})
        for subject, fields in state.get("accruals", {}).items():
            self._records[subject] = Record({"status": "accrued", **fields}, 0.0)  # the record was forgotten long ago
            self._accrued_before.add(subject)

    def state(self, taken_back_later: Set[str]) -> dict[str, Any]:
        """Return the state of the member that no posting says, for `open`: with the accruals that are taken back
        later."""
        kept = (self._accrued_before | taken_back_later) & self._records.keys()
        return {
            "numbers": {name: self._numbers[name] for name in sorted(self._touched)},
            "purchase": dict(sorted(self._state.items())),
            "accruals": {
                subject: {name: self._records[subject].fields[name] for name in ("points", "growth")}
                for subject in sorted(kept)
                if self._records[subject].fields["status"] == "accrued"
            },
        }

    def take(self, transaction: Transaction) -> None:
        """Take the next transaction of the member."""
        kind, subject = transaction.kind, transaction.subject_id
        if kind in ("redeem", "hold"):
            self._redeem(transaction)
            return
        self._move(transaction)
        record = self._records.get(subject)
        if kind == "accrue":
            self._accrue(transaction)
        elif kind == "issue":
            self._remember(keys.issued(self._who.bucket, subject), "1", transaction, REDEMPTION_RETENTION_SECONDS)
        elif record is None:
            return
        elif kind == "capture":
            self._capture(transaction, record)
        elif kind == "release" or record.fields["status"] == "held":
            self._release(transaction, record)
        elif kind == "refund" or (kind == "reverse" and subject.startswith("rdm_")):
            self._give_back(transaction, record)
        elif kind == "reverse":
            self._reverse_accrual(transaction, record)

    def image(self, now: float) -> ExpectedState:
        """Return the expected keys of the hot store at `now`, without those that are forgotten by then."""
        who, image = self._who, ExpectedState(without_key=self._extra.without_key)
        lots = {f"{asset}/{lot}": str(amount) for (asset, lot), amount in self._lots.items() if amount != 0}
        if lots:
            image.hashes[keys.lots(who.bucket, who.member_id)] = lots
        image.hashes[keys.member(who.bucket, who.member_id)] = {
            "tier": who.tier,
            "name": who.name,
            "status": who.status,
            **self._state,
            **{name: str(self._numbers[name]) for name in sorted(self._touched)},
        }
        for subject, record in self._records.items():
            if record.forgotten_at > now:
                spell = keys.accrual if subject.startswith("acr_") else keys.redemption
                key = spell(who.bucket, subject)
                if "taken" in record.fields:
                    image.strings[key] = record_text(record.fields)
                else:
                    image.hashes[key] = record.fields
                image.forgotten_at[key] = record.forgotten_at
            if record.fields["status"] == "held":
                image.holds[subject] = int(record.fields["hold_until"])
        for source, target in ((self._extra.hashes, image.hashes), (self._extra.strings, image.strings)):
            for key, content in source.items():
                if self._extra.forgotten_at[key] > now:
                    target[key] = content  # type: ignore[assignment]
                    image.forgotten_at[key] = self._extra.forgotten_at[key]
        for key, counts in self._counters.items():
            if self._extra.forgotten_at[key] > now:
                image.hashes[key] = {name: str(count) for name, count in counts.items()}
                image.forgotten_at[key] = self._extra.forgotten_at[key]
        return image

    @property
    def negative(self) -> dict[str, int]:
        """Return lots that are below zero in the ledger: something was spent twice before a freeze."""
        return {f"{asset}/{lot}": amount for (asset, lot), amount in self._lots.items() if amount < 0}

    # Each kind of transaction has its own effect.

    def _redeem(self, transaction: Transaction) -> None:
        who, context, at_ms = self._who, transaction.context, transaction.at_ms
        self._move(transaction)
        held = transaction.kind == "hold"
        parts = parts_of(transaction.moves, context, who.currencies)
        restore = context.get("restore", {})
        fields = {
            "id": transaction.subject_id,
            "status": "held" if held else "captured",
            "at": str(at_ms),
            "member": who.member_id,
            "tier": who.tier,
            "name": who.name.replace("\n", " "),
            "business": context["business"],
            "taken": ";".join(f"{part.leg},{part.asset},{part.lot},{part.taken}" for part in parts),
            "basket": basket_of(context),
        }
        counted = [part for part in parts if part.asset.startswith(BENEFIT_PREFIX)]
        if counted:
            fields["uses"] = self._count(transaction, counted, restore)
        hold_seconds = restore.get("hold_seconds", 0)
        if held:
            fields["hold_until"] = str(at_ms + hold_seconds * 1000)
            fields["place"] = place_of(context)
            points = sum(part.taken for part in parts if part.asset == POINTS)
            if points:
                self._add("held", points)
        fields["balance"] = self._balance(at_ms, context["business"])
        for part in parts:
            part.captured = 0 if held else part.taken
        forgotten_at = at_ms / 1000 + REDEMPTION_RETENTION_SECONDS + hold_seconds
        self._records[transaction.subject_id] = Record(fields, forgotten_at, parts)
        self._use_code(transaction)
        self._answer(transaction, "0", transaction.subject_id, extra_seconds=hold_seconds)

    def _capture(self, transaction: Transaction, record: Record) -> None:
        wanted = moved(transaction.moves, "R")
        for part in record.parts:
            part.captured = min(wanted[part.asset], part.taken)
            wanted[part.asset] -= part.captured
            self._uncount(record, part, part.taken - part.captured)
        self._end_hold(record)
        record.fields |= {
            "status": "captured",
            "captured": progress(part.captured for part in record.parts),
            "captured_at": str(transaction.at_ms),
        }
        bill = transaction.context.get("bill")
        if bill is not None:
            record.fields["bill"] = context_text(bill)
        self._step_done(transaction, record, "captured")

    def _release(self, transaction: Transaction, record: Record) -> None:
        if transaction.kind == "reverse":
            status = "reversed"
        else:
            # A void comes before the deadline, an expiry at it or after: the functions see to that.
            status = "expired" if transaction.at_ms >= int(record.fields["hold_until"]) else "voided"
        for part in record.parts:
            self._uncount(record, part, part.taken)
        self._end_hold(record)
        record.fields |= {"status": status, "ended": str(transaction.at_ms)}
        self._cancelled(transaction, record)
        if status == "voided":
            self._step_done(transaction, record, status)
        else:
            self._keep(transaction, record)

    def _give_back(self, transaction: Transaction, record: Record) -> None:
        wanted = moved(transaction.moves, None, source="R")
        for part in reversed(record.parts):
            refund = min(wanted[part.asset], part.captured - part.refunded)
            wanted[part.asset] -= refund
            part.refunded += refund
            self._uncount(record, part, refund)
        whole = all(part.captured == part.refunded for part in record.parts)
        status = "reversed" if transaction.kind == "reverse" else "refunded" if whole else "partially_refunded"
        record.fields |= {
            "status": status,
            "captured": progress(part.captured for part in record.parts),
            "refunded": progress(part.refunded for part in record.parts),
        }
        self._cancelled(transaction, record)
        if transaction.kind == "reverse":
            self._keep(transaction, record)
        else:
            self._step_done(transaction, record, status)

    def _accrue(self, transaction: Transaction) -> None:
        who, context, at_ms = self._who, transaction.context, transaction.at_ms
        restore = context.get("restore", {})
        business, seconds = context["business"], at_ms // 1000
        points = sum(move.amount for move in transaction.moves if move.source == "I")
        settled = sum(move.amount for move in transaction.moves if move.target == "I")
        earned_in = month_of(at_ms, who.zone, restore.get("validity_months", 0))
        lot = next((move.lot for move in transaction.moves if move.source == "I"), f"{earned_in}.{business}")
        days = restore.get("crossing_days", 0)
        last = self._state.get("last_business")
        crossing = (
            days > 0
            and last is not None
            and last != business
            and seconds - int(self._state["last_purchase"]) <= days * 86_400
        )
        growth = restore.get("growth", 0)
        self._add("growth", growth)
        self._add("owed", -settled)
        self._state |= {"last_business": business, "last_purchase": str(seconds)}
        fields = {
            "id": transaction.subject_id,
            "status": "accrued",
            "at": str(at_ms),
            "member": who.member_id,
            "tier": who.tier,
            "name": who.name,
            "business": business,
            "points": str(points),
            "settled": str(settled),
            "lot": lot,
            "growth": str(growth),
            "growth_after": str(self._numbers["growth"]),
            "crossing": "1" if crossing else "0",
            "balance": str(self._sum(POINTS, at_ms)),
            "context": context_text(context),
            "counted": self._counted(context, at_ms),
        }
        self._records[transaction.subject_id] = Record(fields, at_ms / 1000 + REDEMPTION_RETENTION_SECONDS)
        self._use_code(transaction)
        self._answer(transaction, "0", transaction.subject_id)

    def _reverse_accrual(self, transaction: Transaction, record: Record) -> None:
        back = sum(move.amount for move in transaction.moves if move.target == "I")
        owed = int(record.fields["points"]) - back
        if owed:
            self._add("owed", owed)
        self._add("growth", -int(record.fields["growth"]))
        record.fields |= {"status": "reversed", "taken_back": str(back), "owed": str(owed)}
        self._keep(transaction, record)
        balance = self._sum(POINTS, transaction.at_ms)
        if transaction.context.get("key"):
            self._answer(transaction, "0", str(back), str(owed), str(balance))

    # The kinds share these.

    def _move(self, transaction: Transaction) -> None:
        for move in transaction.moves:
            if move.source == "A":
                self._lots[move.asset, move.lot] -= move.amount
            if move.target == "A":
                self._lots[move.asset, move.lot] += move.amount

    def _sum(self, asset: str, at_ms: int) -> int:
        month = month_of(at_ms, self._who.zone)
        return sum(
            amount
            for (each, lot), amount in self._lots.items()
            if each == asset and amount > 0 and (lot[0] == "-" or int(lot[:6]) >= month)
        )

    def _balance(self, at_ms: int, business: str) -> str:
        currency = self._who.currencies.get(business, "")
        return f"{self._sum('points', at_ms)},{self._numbers['held']},{self._sum(currency, at_ms)}"

    def _add(self, name: str, amount: int) -> None:
        self._numbers[name] += amount
        self._touched.add(name)

    def _end_hold(self, record: Record) -> None:
        points = sum(part.taken for part in record.parts if part.asset == POINTS)
        if points:
            self._add("held", -points)

    def _keep(self, transaction: Transaction, record: Record) -> None:
        kept_until = transaction.at_ms / 1000 + REDEMPTION_RETENTION_SECONDS
        record.forgotten_at = max(record.forgotten_at, kept_until)

    def _cancelled(self, transaction: Transaction, record: Record) -> None:
        if transaction.kind == "reverse":
            record.fields.setdefault("cancelled", str(transaction.at_ms))

    def _step_done(self, transaction: Transaction, record: Record, status: str) -> None:
        self._keep(transaction, record)
        if transaction.context.get("key"):
            captured = progress(part.captured for part in record.parts)
            refunded = progress(part.refunded for part in record.parts)
            balance = self._balance(transaction.at_ms, record.fields["business"])
            self._answer(
                transaction, "0", transaction.subject_id, status, captured, refunded, balance, str(transaction.at_ms)
            )

    def _answer(self, transaction: Transaction, *words: str, extra_seconds: int = 0) -> None:
        """Return the idempotency record of the call behind a transaction. That of a hold lives longer by the hold's
        time."""
        who, context = self._who, transaction.context
        fingerprint = context.get("restore", {}).get("fingerprint")
        terminal, key = context.get("terminal"), context.get("key")
        if not fingerprint or not terminal or not key:
            self._extra.without_key += 1
            return
        bucket = who.bucket if who.cluster else keys.bucket_of_terminal(terminal, who.buckets)
        name = keys.idempotency(bucket, terminal, key)
        seconds = REDEMPTION_RETENTION_SECONDS + extra_seconds
        self._remember(name, " ".join((fingerprint, *words)), transaction, seconds)

    def _counted(self, context: Mapping[str, Any], at_ms: int) -> str:
        """Return where an accrual was counted: the days of member and terminal, and its bill."""
        who = self._who
        day = f"{datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(who.zone):%Y%m%d}"
        terminal, outlet = context.get("terminal", ""), context.get("outlet", "")
        of_terminal, of_outlet = (
            who.bucket if who.cluster else keys.bucket_of_terminal(each, who.buckets) for each in (terminal, outlet)
        )
        reference = context.get("bill", {}).get("reference", "")
        return " ".join(
            (
                keys.earned(who.bucket, who.member_id) + day,
                keys.earned(of_terminal, terminal) + day,
                keys.bill(of_outlet, outlet, reference),
            )
        )

    def _remember(self, key: str, value: str, transaction: Transaction, seconds: int) -> None:
        self._extra.strings[key] = value
        self._extra.forgotten_at[key] = transaction.at_ms / 1000 + seconds

    def _use_code(self, transaction: Transaction) -> None:
        code = transaction.context.get("restore", {}).get("code")
        number = member_number(self._who.member_id)
        if code is None or number is None:
            return
        slot, marker = code
        key = keys.code(self._who.bucket, number, slot)
        self._extra.strings[key] = self._extra.strings.get(key, ",") + f"{marker},"
        self._extra.forgotten_at[key] = transaction.at_ms / 1000 + CODE_MARKER_SECONDS

    def _count(self, transaction: Transaction, parts: Sequence[Part], restore: Mapping[str, Any]) -> str:
        who = self._who
        local = datetime.fromtimestamp(transaction.at_ms // 1000 + restore.get("outlet_offset", 0), UTC)
        month = keys.uses(who.bucket, who.member_id) + f"{local:%Y%m}"
        day = f":{local:%Y%m%d}"
        stay = ""
        if restore.get("stay"):
            stay = keys.stay(who.bucket, who.member_id, transaction.context["business"], restore["stay"])
        for part in parts:
            benefit = part.asset.removeprefix(BENEFIT_PREFIX)
            for counter, name in ((month, benefit), (month, benefit + day), (stay, benefit)):
                if counter:
                    counts = self._counters.setdefault(counter, {})
                    counts[name] = counts.get(name, 0) + part.taken
                    self._extra.forgotten_at[counter] = transaction.at_ms / 1000 + USES_SECONDS
        return f"{month} {day} {stay}"

    def _uncount(self, record: Record, part: Part, amount: int) -> None:
        uses = record.fields.get("uses")
        if uses is None or amount == 0 or not part.asset.startswith(BENEFIT_PREFIX):
            return
        month, day, *stay = uses.split()
        benefit = part.asset.removeprefix(BENEFIT_PREFIX)
        for counter, name in ((month, benefit), (month, benefit + day), *((each, benefit) for each in stay)):
            counts = self._counters.get(counter, {})
            if counts.get(name, 0) > 0:
                counts[name] -= min(counts[name], amount)
