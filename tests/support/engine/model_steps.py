"""The second half of the engine's model: what becomes of a redemption, and what a purchase earns."""

from collections import Counter
from datetime import datetime

from redemption.configuration.current import Terminal
from redemption.domain import limits
from redemption.domain.members import bucket_of, member_id
from redemption.domain.outcomes import Outcome
from redemption.rules.earning import earned, growth_value, points_by_tier
from tests.support.engine.commands import Code, Purchase, Step
from tests.support.engine.model import (
    CANCELLED,
    DAY,
    ENDED,
    REUSED,
    Answer,
    Mark,
    Model,
    Move,
    Part,
    Record,
    again,
    asset_of,
    refused,
)

NOT_FOUND: Answer = ("not found",)
GUESSES = 4
"""Whose rate it is that guesses exceed."""
EVER = limits.REDEMPTION_RETENTION_SECONDS


class Accrued:
    """An accrual; `answer` is what it was answered with."""

    def __init__(self, purchase: Purchase, at: int, lot: str, answer: Answer, dies: int) -> None:
        self.member = purchase.member_number
        self.business = purchase.terminal.business.business_id
        self.at = at
        self.lot = lot
        self.answer = answer
        self.points: int = answer[2]
        self.growth: int = answer[5]
        self.status = "accrued"
        self.dies = dies
        self.counted: tuple[tuple[str, str], ...] = ()
        self.bill = ("", "")


class EngineModel(Model):
    """All calls."""

    accruals: dict[str, Accrued]
    issued: dict[str, int]

    # Giving value back.

    def give_back(self, record: Record, start: str, amounts: list[int]) -> list[Move]:
        """To the lots it came from. A lot whose month is over expires; under "grace" it is issued anew to the end of
        this month."""
        moves: list[Move] = []
        for part, amount in zip(record.parts, amounts, strict=True):
            if amount == 0:
                continue
            if not self.over(part.lot):
                moves.append((part.asset, part.lot, start, "A", amount))
                self.add(record.member, part.asset, part.lot, amount)
            else:
                moves.append((part.asset, part.lot, start, "X", amount))
                if self.configuration.policy.expired_lot == "grace":
                    lot = f"{self.month()}{part.lot[6:]}"
                    moves.append((part.asset, lot, "I", "A", amount))
                    self.add(record.member, part.asset, lot, amount)
            if part.asset.startswith("benefit:"):
                for counter, suffix in record.counters:
                    count = self.uses.setdefault(counter, Counter())
                    name = part.asset.removeprefix("benefit:") + suffix
                    count[name] = max(0, count[name] - amount)
        return moves

    def release(self, record: Record, status: str) -> None:
        moves = self.give_back(record, "H", [part.taken for part in record.parts])
        self.enter("reverse" if status == "reversed" else "release", record.redemption_id, record.member, moves)
        self.end_hold(record, status)

    def end_hold(self, record: Record, status: str) -> None:
        held = sum(part.taken for part in record.parts if part.asset == "points")
        self.members[record.member].held -= held
        record.status = status
        record.dies = max(record.dies, self.age + EVER)

    def due(self, record: Record) -> bool:
        return record.status == "held" and record.hold_until is not None and record.hold_until <= self.now_ms

    def view(self, record: Record) -> Answer:
        """A redemption as it stands now; the balance in the currency of the business it was made at."""
        parts = tuple(
            (part.leg, part.asset, part.lot, part.taken, part.captured, part.refunded) for part in record.parts
        )
        balance = self.balance(record.member, self.configuration.businesses[record.business].currency)
        return "redemption", record.redemption_id, record.status, record.at, record.hold_until, parts, balance, False

    def own(self, terminal: Terminal, redemption_id: str) -> Record | None:
        record = self.record(redemption_id)
        return record if record is not None and record.business == terminal.business.business_id else None

    def done(self, step: Step, record: Record) -> Answer:
        answer = self.view(record)
        self.keep(step.terminal, step.key, step.fingerprint, answer, EVER)
        return answer

    # Steps.

    def step(self, step: Step) -> Answer:
        """Capture, void or refund."""
        before = self.before(step)
        if before is not None:
            return before
        record = self.own(step.terminal, step.subject)
        if record is None:
            return NOT_FOUND
        if step.name == "refund":
            return self.refund(step, record)
        if self.due(record):
            self.release(record, "expired")
            return self.refuse(step, Outcome.HOLD_EXPIRED)
        if record.status != "held":
            return self.refuse(step, ENDED[record.status])
        if step.name == "capture":
            return self.capture(step, record)
        self.release(record, "voided")
        return self.done(step, record)

    def asked(self, step: Step, parts: list[Part], most: list[int]) -> tuple[list[int], Answer | None]:
        """How much of each part a step means, in the order given; or the refusal when that is more than there is."""
        if step.legs is None:
            return most, None
        wanted: dict[str, int] = {}
        for leg in step.legs:
            asset, amount = asset_of(leg, step.terminal.business.currency)
            wanted[asset] = wanted.get(asset, 0) + amount
        for asset, amount in wanted.items():
            there = sum(room for part, room in zip(parts, most, strict=True) if part.asset == asset)
            if amount > there:
                exceeds = Outcome.EXCEEDS_HOLD if step.name == "capture" else Outcome.EXCEEDS_REDEMPTION
                return most, self.refuse(step, exceeds, amount, there)
        amounts = []
        for part, room in zip(parts, most, strict=True):
            amount = min(wanted.get(part.asset, 0), room)
            amounts.append(amount)
            if amount:
                wanted[part.asset] -= amount
        return amounts, None

    def capture(self, step: Step, record: Record) -> Answer:
        """Takes first what expires first; the rest goes back."""
        amounts, exceeds = self.asked(step, record.parts, [part.taken for part in record.parts])
        if exceeds is not None:
            return exceeds
        moves: list[Move] = []
        for part, amount in zip(record.parts, amounts, strict=True):
            part.captured = amount
            if amount:
                moves.append((part.asset, part.lot, "H", "R", amount))
        moves += self.give_back(record, "H", [part.taken - part.captured for part in record.parts])
        self.enter("capture", record.redemption_id, record.member, moves)
        self.end_hold(record, "captured")
        record.captured_at = self.now_ms
        return self.done(step, record)

    def refund(self, step: Step, record: Record) -> Answer:
        """Gives back first what expires last."""
        if self.due(record):
            return self.refuse(step, Outcome.HOLD_EXPIRED)
        if record.status == "held":
            return self.refuse(step, Outcome.EXCEEDS_REDEMPTION, -1, 0)
        if record.status not in ("captured", "partially_refunded"):
            return self.refuse(step, ENDED[record.status])
        backwards = record.parts[::-1]
        amounts, exceeds = self.asked(step, backwards, [part.captured - part.refunded for part in backwards])
        if exceeds is not None:
            return exceeds
        if self.now_ms - record.captured_at > self.configuration.policy.refund_window_seconds * 1000:
            return self.refuse(step, Outcome.WINDOW_CLOSED)
        self.give_back_captured(record, amounts[::-1], "refund")
        left = sum(part.captured - part.refunded for part in record.parts)
        record.status = "partially_refunded" if left else "refunded"
        return self.done(step, record)

    def give_back_captured(self, record: Record, amounts: list[int], kind: str) -> None:
        moves = self.give_back(record, "R", amounts)
        for part, amount in zip(record.parts, amounts, strict=True):
            part.refunded += amount
        self.enter(kind, record.redemption_id, record.member, moves)
        record.dies = max(record.dies, self.age + EVER)

    # Cancel, sweep.

    def cancel_key(self, terminal: Terminal, key: str, code: Code | None) -> Answer:
        """By key, whatever code comes with it and wherever the terminal is now: what was applied is undone; where
        nothing was, the key never applies. A key nobody knows is refused where nothing can be read of the code (None),
        and where the code is so old that the key may have been forgotten."""
        limited = self.limited(terminal)
        if limited is not None:
            return limited
        mark = self.mark(terminal, key)
        if mark is None and code is not None and self.now_ms // 2000 * 2 - code.made_at > EVER:
            return refused(Outcome.WINDOW_CLOSED)
        if mark is None and code is None:
            seconds = limits.REFUSAL_MARK_SECONDS
            self.marks[terminal.terminal_id, key] = Mark(None, CANCELLED, self.age + seconds)
            return refused(Outcome.CODE_FORGED)
        if mark is None or mark.fingerprint is None or mark.kind in ("refused", "not found"):
            dies = max(self.age + limits.TOMBSTONE_SECONDS, mark.dies if mark is not None else 0)
            self.marks[terminal.terminal_id, key] = Mark(None, CANCELLED, dies)
            keys, over = self.cancelled.get(terminal.terminal_id, (set(), 0))
            kept = keys if over > self.age else set()
            self.cancelled[terminal.terminal_id] = (kept | {key}, self.age + EVER)
            return "cancelled", "tombstoned", None
        if mark.record is None:
            return refused(Outcome.IDEMPOTENCY_KEY_REUSED)
        return self.cancel_record(mark.record)

    def cancel_id(self, terminal: Terminal, redemption_id: str) -> Answer:
        limited = self.limited(terminal)
        return limited if limited is not None else self.undo(terminal, redemption_id)

    def undo(self, terminal: Terminal, redemption_id: str) -> Answer:
        record = self.own(terminal, redemption_id)
        return NOT_FOUND if record is None else self.cancel_record(record)

    def cancel_record(self, record: Record) -> Answer:
        if self.due(record):
            self.release(record, "expired")
        if record.status in ("held", "captured", "partially_refunded"):
            if self.now_ms - record.captured_at > self.configuration.policy.cancel_window_seconds * 1000:
                return refused(Outcome.WINDOW_CLOSED)
            if record.status == "held":
                self.release(record, "reversed")
            else:
                self.give_back_captured(record, [part.captured - part.refunded for part in record.parts], "reverse")
                record.status = "reversed"
        record.cancelled = True
        return "cancelled", "reversed", self.view(record)

    def sweep(self, bucket: int) -> Answer:
        """Ends the holds of a bucket whose time has run out."""
        mine = [
            record
            for record in self.records.values()
            if record.status == "held" and bucket_of(record.member, self.configuration.buckets) == bucket
        ]
        due = sorted(
            (record for record in mine if self.due(record)),
            key=lambda record: (record.hold_until or 0, record.redemption_id),
        )
        for record in due:
            self.release(record, "expired")
        return "swept", len(due), len(mine) - len(due)

    # Earning.

    def accrue(self, purchase: Purchase, new_id: str) -> Answer:
        """A purchase earns points, for the member of a code or of an id."""
        terminal, code, member = purchase.terminal, purchase.code, self.members[purchase.member_number]
        step = Step("accrue", terminal, "", purchase.key)
        limited = self.limited(terminal, None if code is None else purchase.member_number)
        if limited is not None:
            return limited
        mark = self.mark(terminal, purchase.key)
        if mark is not None:
            if mark.fingerprint is None:
                return CANCELLED
            if mark.fingerprint != purchase.fingerprint:
                return REUSED
            return mark.answer if mark.answer == NOT_FOUND else again(mark.answer)
        if code is None:
            unseen = self.unseen(purchase)
            if unseen is not None:
                return unseen
        objections: list[tuple[Outcome, int, int]] = [
            (outcome, -1, -1)
            for outcome, holds in (
                (Outcome.CODE_EXPIRED, code is not None and code.expired),
                (Outcome.CODE_USED, code is not None and self.used(code)),
                (Outcome.CODE_REVOKED, code is not None and code.made_at < member.codes_valid_from),
                (Outcome.MEMBER_BLOCKED, member.status == "blocked"),
                (Outcome.POSSIBLE_DUPLICATE, self.earned_before(purchase)),
            )
            if holds
        ]
        objections += self.over_ceilings(purchase)
        if objections:
            outcome, asked, available = min(objections, key=lambda objection: objection[0])
            answer = refused(outcome, None, asked, available)
            seconds = limits.REFUSAL_MARK_SECONDS if code is not None else EVER
            self.keep(terminal, step.key, purchase.fingerprint, answer, seconds)
            return answer
        return self.credit(purchase, new_id)

    def unseen(self, purchase: Purchase) -> Answer | None:
        """What a member named by id comes to before anything is looked at: nobody whom this outlet scanned lately is
        not found, and a guess."""
        terminal = purchase.terminal
        if self.was_cancelled(terminal, purchase.key):
            return CANCELLED
        if self.guessed_too_often(terminal):
            return refused(Outcome.RATE_LIMITED, None, GUESSES)
        if self.members[purchase.member_number].seen.get(terminal.outlet_id, -1) > self.age:
            return self.limited(None, purchase.member_number)
        for subject in (terminal.terminal_id, terminal.outlet_id, "group"):
            count, dies = self.guesses_of(subject)
            self.guesses[subject] = (count + 1, dies if count else self.age + limits.GUESS_WINDOW_SECONDS)
        self.keep(terminal, purchase.key, purchase.fingerprint, NOT_FOUND, EVER)
        return NOT_FOUND

    def guesses_of(self, subject: str) -> tuple[int, int]:
        count, dies = self.guesses.get(subject, (0, 0))
        return (count, dies) if dies > self.age else (0, 0)

    def guessed_too_often(self, terminal: Terminal) -> bool:
        many = self.guesses_of("group")[0] >= limits.GUESSES_IN_GROUP
        of_terminal = limits.GUESSES_PER_TERMINAL_THEN if many else limits.GUESSES_PER_TERMINAL
        of_outlet = limits.GUESSES_PER_OUTLET_THEN if many else limits.GUESSES_PER_OUTLET
        return (
            self.guesses_of(terminal.terminal_id)[0] >= of_terminal
            or self.guesses_of(terminal.outlet_id)[0] >= of_outlet
        )

    def entries_of_bill(self, purchase: Purchase) -> list[tuple[int, str]]:
        entries, dies = self.bills.get((purchase.terminal.outlet_id, purchase.bill.reference), ([], 0))
        return entries if dies > self.age else []

    def earned_before(self, purchase: Purchase) -> bool:
        entries, amount = self.entries_of_bill(purchase), purchase.bill.amount_minor
        is_same = any(each == amount for each, _ in entries)
        return bool(entries) and (not purchase.confirm or is_same or len(entries) >= limits.BILL_EARNINGS_MAX)

    def day(self) -> str:
        return f"{datetime.fromtimestamp(self.now_ms / 1000, self.configuration.time_zone):%Y%m%d}"

    def over_ceilings(self, purchase: Purchase) -> list[tuple[Outcome, int, int]]:
        """The first ceiling that the purchase is over."""
        most, day = self.configuration.policy.earn_ceilings, self.day()
        points, growth, _ = self.points_of(purchase)
        of_member = self.earned[member_id(purchase.member_number), day]
        of_terminal = self.earned[purchase.terminal.terminal_id, day]
        found = [
            (Outcome.EARNING_LIMIT_REACHED, asked, max(0, room))
            for asked, room, counts in (
                (purchase.bill.amount_minor, most.bill_minor, True),
                (max(points, growth), most.bill_points, True),
                (points, most.member_day_points - of_member, points > 0),
                (points, most.terminal_day_points - of_terminal, points > 0),
            )
            if counts and asked > room
        ]
        return found[:1]

    def points_of(self, purchase: Purchase) -> tuple[int, int, bool]:
        """Points, growth value, and whether the bonus for crossing businesses is in them."""
        terminal, member = purchase.terminal, self.members[purchase.member_number]
        rules, business = terminal.business.earn, terminal.business.business_id
        base = earned(rules, purchase.bill)
        seconds = self.now_ms // 1000
        last = member.last_purchase
        crossing = (
            rules.crossing_days > 0
            and last is not None
            and last[0] != business
            and seconds - last[1] <= rules.crossing_days * DAY
        )
        tiers = {tier.tier_id: tier.rules for tier in self.configuration.tiers}
        plain, bonus = points_by_tier(rules, base, tiers)[member.tier]
        return bonus if crossing else plain, growth_value(base), crossing

    def credit(self, purchase: Purchase, new_id: str) -> Answer:
        terminal, member, number = purchase.terminal, self.members[purchase.member_number], purchase.member_number
        rules, business = terminal.business.earn, terminal.business.business_id
        points, growth, crossing = self.points_of(purchase)
        seconds = self.now_ms // 1000
        month = self.month() // 100 * 12 + self.month() % 100 - 1 + rules.validity_months
        lot = f"{month // 12}{month % 12 + 1:02d}.{business}"
        settled = min(member.owed, points)
        moves: list[Move] = [("points", lot, "I", "A", points)] if points else []
        if settled:
            moves.append(("points", lot, "A", "I", settled))
        self.enter("accrue", new_id, number, moves)
        self.expire_lots(number)
        if points > settled:
            self.add(number, "points", lot, points - settled)
        member.owed -= settled
        member.growth += growth
        counted = ((member_id(number), self.day()), (terminal.terminal_id, self.day()))
        for counter in counted:
            self.earned[counter] += points
        bill = (terminal.outlet_id, purchase.bill.reference)
        entries = [*self.entries_of_bill(purchase), (purchase.bill.amount_minor, new_id)]
        self.bills[bill] = (entries, self.age + limits.BILL_SECONDS)
        member.last_purchase = (business, seconds)
        if purchase.code is not None:
            self.use_code(purchase.code)
            self.seen(terminal, number)
        balance = self.sum_of(number, "points")
        answer = ("accrual", new_id, points, settled, lot, growth, member.growth, crossing, balance, False)
        self.accruals[new_id] = Accrued(purchase, self.now_ms, lot, answer, self.age + EVER)
        self.accruals[new_id].counted, self.accruals[new_id].bill = counted, bill
        self.keep(terminal, purchase.key, purchase.fingerprint, answer, EVER)
        return answer

    def reverse(self, step: Step) -> Answer:
        """Takes back what is left in the accrual's lot; the rest is owed."""
        before = self.before(step)
        if before is not None:
            return before
        found = self.accruals.get(step.subject)
        if found is None or found.dies <= self.age or found.business != step.terminal.business.business_id:
            return NOT_FOUND
        if found.status != "accrued":
            return self.refuse(step, Outcome.ALREADY_REFUNDED)
        if self.now_ms - found.at > self.configuration.policy.refund_window_seconds * 1000:
            return self.refuse(step, Outcome.WINDOW_CLOSED)
        member = self.members[found.member]
        back = min(found.points, member.lots[("points", found.lot)])
        if back:
            self.add(found.member, "points", found.lot, -back)
        self.enter("reverse", step.subject, found.member, [("points", found.lot, "A", "I", back)] if back else [])
        owed = found.points - back
        member.owed += owed
        member.growth -= found.growth
        found.status = "reversed"
        for counter in found.counted:
            self.earned[counter] = max(0, self.earned[counter] - found.points)
        entries, dies = self.bills[found.bill]
        self.bills[found.bill] = ([entry for entry in entries if entry[1] != step.subject], dies)
        found.dies = self.age + EVER
        answer = ("reversed", step.subject, back, owed, self.sum_of(found.member, "points"), False)
        self.keep(step.terminal, step.key, step.fingerprint, answer, EVER)
        return answer

    def issue(self, issue_id: str, number: int, lots: dict[tuple[str, str], int]) -> Answer:
        """Value into lots, once per id."""
        if self.issued.get(issue_id, 0) > self.age:
            return "issued", 0, True
        self.issued[issue_id] = self.age + EVER
        self.enter("issue", issue_id, number, [(asset, lot, "I", "A", amount) for (asset, lot), amount in lots.items()])
        for (asset, lot), amount in lots.items():
            self.add(number, asset, lot, amount)
        return "issued", 0, False
