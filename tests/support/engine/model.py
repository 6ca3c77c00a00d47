"""What every call of the engine must answer and leave behind: a model in plain Python, written from
docs/start/concepts.md and the interface. It shares with the product the types of commands, outcome numbers and the pure
rules (prices, earning); it knows nothing of Lua, of the service, of keys.

Time: `now_ms` is the servers' clock. What is remembered for a while dies by `age`, the seconds the machine let pass.
A call answers a tuple, its kind first; what it writes to the ledger is added to `entries`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redemption.configuration.current import Configuration, Terminal
from redemption.domain import limits
from redemption.domain.commands import BenefitLeg, Leg, PointsLeg
from redemption.domain.members import member_id
from redemption.domain.outcomes import Outcome
from redemption.rules.pricing import price
from tests.support.engine.commands import Scan, Step

Answer = tuple[Any, ...]
Move = tuple[str, str, str, str, int]
DAY = 86_400


@dataclass
class Member:
    tier: str
    status: str = "active"
    codes_valid_from: int = 0
    held: int = 0
    growth: int = 0
    owed: int = 0
    last_purchase: tuple[str, int] | None = None
    lots: Counter[tuple[str, str]] = field(default_factory=Counter)
    seen: dict[str, int] = field(default_factory=dict)
    """Outlets that scanned the member, and the age at which that is forgotten."""


@dataclass
class Part:
    leg: int
    asset: str
    lot: str
    taken: int
    captured: int = 0
    refunded: int = 0


@dataclass
class Record:
    """A redemption. `counters` are where its uses of benefits count."""

    redemption_id: str
    member: int
    business: str
    at: int
    hold_until: int | None
    status: str
    parts: list[Part]
    counters: list[tuple[Any, str]]
    dies: int
    captured_at: int
    first: Answer = ()
    cancelled: bool = False


@dataclass
class Mark:
    """What a key stands for: the answer of every repeat. A tombstone has no fingerprint."""

    fingerprint: str | None
    answer: Answer
    dies: int
    record: Record | None = None
    kind: str = "refused"


def refused(outcome: Outcome, leg: int | None = None, asked: int = -1, available: int = -1) -> Answer:
    return ("refused", outcome, leg, asked, available, False)


def again(answer: Answer) -> Answer:
    """The same answer, said to be a repeat."""
    return (*answer[:-1], True)


CANCELLED = again(refused(Outcome.CANCELLED))
REUSED = refused(Outcome.IDEMPOTENCY_KEY_REUSED)
ENDED = {
    "captured": Outcome.ALREADY_CAPTURED,
    "partially_refunded": Outcome.ALREADY_CAPTURED,
    "refunded": Outcome.ALREADY_REFUNDED,
    "voided": Outcome.ALREADY_VOIDED,
    "expired": Outcome.HOLD_EXPIRED,
    "reversed": Outcome.CANCELLED,
}


def asset_of(leg: Leg, currency: str) -> tuple[str, int]:
    if isinstance(leg, PointsLeg):
        return "points", leg.points
    if isinstance(leg, BenefitLeg):
        return f"benefit:{leg.benefit_id}", leg.uses
    return currency, leg.amount_minor


def spending_order(lot: str) -> tuple[bool, str]:
    """First to expire first; what never expires last."""
    return lot.startswith("-"), lot


class Model:
    """Members, what they hold, and what became of every call."""

    def __init__(self, configuration: Configuration, now_ms: int, members: dict[int, Member]) -> None:
        self.configuration = configuration
        self.now_ms = now_ms
        self.age = 0
        self.members = members
        self.records: dict[str, Record] = {}
        self.marks: dict[tuple[str, str], Mark] = {}
        self.codes: dict[tuple[int, int], tuple[set[str], int]] = {}
        self.recent: dict[Any, tuple[int, str]] = {}
        self.uses: dict[Any, Counter[str]] = {}
        self.rates: Counter[tuple[str, int]] = Counter()
        self.cancelled: dict[str, tuple[set[str], int]] = {}
        self.guesses: dict[str, tuple[int, int]] = {}
        self.bills: dict[tuple[str, str], tuple[list[tuple[int, str]], int]] = {}
        self.earned: Counter[tuple[str, str]] = Counter()
        self.entries: list[tuple[str, str, str, tuple[Move, ...]]] = []

    # Time and names.

    def month(self) -> int:
        here = datetime.fromtimestamp(self.now_ms / 1000, self.configuration.time_zone)
        return here.year * 100 + here.month

    def over(self, lot: str) -> bool:
        """Whether the lot's month has ended."""
        return not lot.startswith("-") and int(lot[:6]) < self.month()

    def mark(self, terminal: Terminal, key: str | None) -> Mark | None:
        found = self.marks.get((terminal.terminal_id, key)) if key is not None else None
        return found if found is not None and found.dies > self.age else None

    def record(self, redemption_id: str) -> Record | None:
        found = self.records.get(redemption_id)
        return found if found is not None and found.dies > self.age else None

    def used(self, code: Any) -> bool:
        fields, dies = self.codes.get((code.member_number, code.slot), (set(), 0))
        if dies <= self.age:
            return False
        return bool(fields) if code.marker == "digits" else bool(fields & {code.marker, "digits"})

    def use_code(self, code: Any) -> None:
        fields, dies = self.codes.get((code.member_number, code.slot), (set(), 0))
        kept = fields if dies > self.age else set()
        self.codes[code.member_number, code.slot] = (kept | {code.marker}, self.age + limits.CODE_MARKER_SECONDS)

    def enter(self, kind: str, subject: str, member: int, moves: list[Move]) -> None:
        self.entries.append((kind, subject, member_id(member), tuple(sorted(moves))))

    # What a member has.

    def sum_of(self, member: int, asset: str) -> int:
        lots = self.members[member].lots
        return sum(amount for (held, lot), amount in lots.items() if held == asset and not self.over(lot))

    def add(self, member: int, asset: str, lot: str, amount: int) -> None:
        lots = self.members[member].lots
        lots[asset, lot] += amount
        assert lots[asset, lot] >= 0, "I2"
        if lots[asset, lot] == 0:
            del lots[asset, lot]

    def expire_lots(self, member: int) -> None:
        lots = self.members[member].lots
        over = {name: amount for name, amount in lots.items() if self.over(name[1])}
        if over:
            for name in over:
                del lots[name]
            moves = [(asset, lot, "A", "X", amount) for (asset, lot), amount in over.items()]
            self.enter("expire", f"exp_{member_id(member)}_{self.now_ms}", member, moves)

    def balance(self, member: int, currency: str) -> tuple[int, int, int]:
        return self.sum_of(member, "points"), self.members[member].held, self.sum_of(member, currency)

    # Verify.

    def over_rate(self, terminal: Terminal | None, member: int | None) -> int | None:
        """1 terminal, 2 outlet, 3 member; each call counts for all that are named."""
        policy, window = self.configuration.policy, self.now_ms // 1000 // limits.RATE_WINDOW_SECONDS
        exceeded = None
        for position, (subject, limit) in enumerate(
            (
                (terminal and terminal.terminal_id, policy.terminal_rate),
                (terminal and terminal.outlet_id, policy.outlet_rate),
                (member and member_id(member), policy.member_rate),
            ),
            start=1,
        ):
            if subject is None:
                continue
            self.rates[str(subject), window] += 1
            if self.rates[str(subject), window] > limit and exceeded is None:
                exceeded = position
        return exceeded

    def limited(self, terminal: Terminal | None, member: int | None = None) -> Answer | None:
        """The refusal of a call that is one too many, with the seconds until the next window."""
        exceeded = self.over_rate(terminal, member)
        if exceeded is None:
            return None
        window = limits.RATE_WINDOW_SECONDS
        return refused(Outcome.RATE_LIMITED, None, exceeded, window - self.now_ms // 1000 % window)

    def was_cancelled(self, terminal: Terminal, key: str | None) -> bool:
        """Whether the key was cancelled before anything came, for what has no code."""
        keys, dies = self.cancelled.get(terminal.terminal_id, (set(), 0))
        return dies > self.age and key in keys

    def seen(self, terminal: Terminal, member: int) -> None:
        """The outlet scanned the member."""
        self.members[member].seen[terminal.outlet_id] = self.age + limits.SEEN_SECONDS

    def verify(self, scan: Scan, new_id: str) -> Answer:
        """`new_id` names the redemption where one is made."""
        exceeded = self.over_rate(scan.terminal, scan.code.member_number)
        if exceeded is not None:
            return refused(Outcome.RATE_LIMITED, None, exceeded)
        mark = self.mark(scan.terminal, scan.key)
        if mark is not None:
            if mark.fingerprint is None:
                return CANCELLED
            if mark.fingerprint != scan.fingerprint:
                return REUSED
            return CANCELLED if mark.record is not None and mark.record.cancelled else again(mark.answer)
        objections, parts, uses = self.examine(scan)
        if objections:
            outcome, leg, asked, available = min(objections, key=lambda objection: objection[0])
            answer = refused(outcome, leg, asked, available)
            self.keep(scan.terminal, scan.key, scan.fingerprint, answer, limits.REFUSAL_MARK_SECONDS)
            return answer
        return self.apply(scan, new_id, parts, uses)

    def unread(self, scan: Scan) -> Answer:
        """The same scan where nothing can be read of its code: the key alone answers, or it is refused for good."""
        limited = self.limited(scan.terminal)
        if limited is not None:
            return limited
        mark = self.mark(scan.terminal, scan.key)
        if mark is None:
            answer = refused(Outcome.CODE_FORGED)
            self.keep(scan.terminal, scan.key, scan.fingerprint, answer, limits.REFUSAL_MARK_SECONDS)
            return answer
        if mark.fingerprint is None:
            return CANCELLED
        if mark.fingerprint != scan.fingerprint:
            return REUSED
        return CANCELLED if mark.record is not None and mark.record.cancelled else again(mark.answer)

    def examine(self, scan: Scan) -> tuple[list[tuple[Outcome, int | None, int, int]], list[Part], Counter[str]]:
        """All reasons to refuse, and what would be taken."""
        code, terminal, configuration = scan.code, scan.terminal, self.configuration
        member = self.members[code.member_number]
        found: list[tuple[Outcome, int | None, int, int]] = [
            (outcome, None, -1, -1)
            for outcome, holds in (
                (Outcome.CODE_EXPIRED, code.expired),
                (Outcome.CODE_USED, self.used(code)),
                (Outcome.CODE_REVOKED, code.made_at < member.codes_valid_from),
                (Outcome.MEMBER_BLOCKED, member.status == "blocked"),
                (
                    Outcome.POSSIBLE_DUPLICATE,
                    bool(scan.legs) and not scan.confirm and self.has_twin(scan),
                ),
            )
            if holds
        ]
        local = datetime.fromtimestamp(self.now_ms / 1000, terminal.time_zone)
        verdict = price(terminal.place, configuration.benefits, scan.legs, scan.bill, local).verdict
        if verdict.outcome is not Outcome.APPLIED:
            found.append((verdict.outcome, verdict.leg, verdict.asked, verdict.available))
        left = {name: amount for name, amount in member.lots.items() if not self.over(name[1])}
        parts: list[Part] = []
        uses: Counter[str] = Counter()
        for index, leg in enumerate(scan.legs):
            asset, wanted = asset_of(leg, terminal.business.currency)
            available = sum(amount for (held, _), amount in left.items() if held == asset)
            objected = False
            if isinstance(leg, BenefitLeg):
                available = min(available, self.uses_left(scan, leg.benefit_id, uses))
                if wanted > available:
                    found.append((Outcome.BENEFIT_EXHAUSTED, index, wanted, max(0, available)))
                    objected = True
                if self.tier_too_low(member.tier, leg.benefit_id):
                    found.append((Outcome.TIER_TOO_LOW, index, -1, -1))
                    objected = True
            elif wanted > available:
                short = Outcome.POINTS_INSUFFICIENT if asset == "points" else Outcome.STORED_VALUE_INSUFFICIENT
                found.append((short, index, wanted, available))
                objected = True
            if objected:
                continue
            if isinstance(leg, BenefitLeg):
                uses[leg.benefit_id] += wanted
            for lot in sorted((lot for held, lot in left if held == asset), key=spending_order):
                taken = min(wanted, left[asset, lot])
                if taken:
                    parts.append(Part(index, asset, lot, taken))
                    left[asset, lot] -= taken
                    wanted -= taken
        return found, parts, uses

    def tier_too_low(self, tier: str, benefit_id: str) -> bool:
        definition = self.configuration.benefits.get(benefit_id)
        ranks = {known.tier_id: known.rank for known in self.configuration.tiers}
        least = definition.minimum_tier if definition is not None else None
        return least is not None and ranks[tier] < ranks[least]

    def counters(self, scan: Scan) -> list[tuple[Any, str]]:
        """Where a use of a benefit counts: per month, per day, per stay; with what follows the benefit's name."""
        local = datetime.fromtimestamp(self.now_ms / 1000, scan.terminal.time_zone)
        number = scan.code.member_number
        found: list[tuple[Any, str]] = [
            (("month", number, f"{local:%Y%m}"), ""),
            (("month", number, f"{local:%Y%m}"), f":{local:%Y%m%d}"),
        ]
        if scan.bill is not None and scan.bill.stay is not None:
            found.append((("stay", number, scan.terminal.business.business_id, scan.bill.stay), ""))
        return found

    def uses_left(self, scan: Scan, benefit_id: str, here: Counter[str]) -> int:
        definition = self.configuration.benefits.get(benefit_id)
        if definition is None:
            return limits.SAFE_INTEGER_MAX
        caps = (definition.per_month, definition.per_day, definition.per_stay)
        return min(
            [
                cap - self.uses.get(counter, Counter())[benefit_id + suffix] - here[benefit_id]
                for cap, (counter, suffix) in zip(caps, self.counters(scan), strict=False)
                if cap is not None
            ],
            default=limits.SAFE_INTEGER_MAX,
        )

    @staticmethod
    def basket(scan: Scan) -> Any:
        legs = sorted(asset_of(leg, scan.terminal.business.currency) for leg in scan.legs)
        amount = scan.bill.amount_minor if scan.bill is not None else None
        return scan.code.member_number, scan.terminal.outlet_id, amount, tuple(legs)

    def has_twin(self, scan: Scan) -> bool:
        """The same basket a moment ago that was not undone since."""
        until, redemption_id = self.recent.get(self.basket(scan), (-1, ""))
        undone = {"voided", "expired", "reversed", "refunded"}
        return until > self.now_ms // 1000 and self.records[redemption_id].status not in undone

    def apply(self, scan: Scan, new_id: str, parts: list[Part], uses: Counter[str]) -> Answer:
        number, terminal = scan.code.member_number, scan.terminal
        hold_seconds = self.configuration.policy.hold_seconds if scan.hold_seconds is None else scan.hold_seconds
        held = hold_seconds > 0
        self.enter(
            "hold" if held else "redeem",
            new_id,
            number,
            [(part.asset, part.lot, "A", "H" if held else "R", part.taken) for part in parts],
        )
        self.expire_lots(number)
        for part in parts:
            self.add(number, part.asset, part.lot, -part.taken)
            part.captured = 0 if held else part.taken
            if held and part.asset == "points":
                self.members[number].held += part.taken
        counters = self.counters(scan)
        if uses:
            for counter, suffix in counters:
                count = self.uses.setdefault(counter, Counter())
                for benefit_id, taken in uses.items():
                    count[benefit_id + suffix] += taken
        self.use_code(scan.code)
        self.seen(terminal, number)
        if scan.legs:
            self.recent[self.basket(scan)] = (self.now_ms // 1000 + limits.DUPLICATE_SECONDS, new_id)
        until = self.now_ms + hold_seconds * 1000 if held else None
        status = "held" if held else "captured"
        dies = self.age + limits.REDEMPTION_RETENTION_SECONDS + hold_seconds
        business = terminal.business
        record = Record(
            new_id, number, business.business_id, self.now_ms, until, status, parts, counters, dies, self.now_ms
        )
        taken_parts = tuple((part.leg, part.asset, part.lot, part.taken) for part in parts)
        balance = self.balance(number, business.currency)
        record.first = ("redemption", new_id, status, self.now_ms, until, taken_parts, balance, False)
        self.records[new_id] = record
        # The key of a hold lives as long as its record: it may be captured late, and cancelled after that.
        self.keep(terminal, scan.key, scan.fingerprint, record.first, dies - self.age, record)
        return record.first

    def keep(  # what a key stands for from now on
        self,
        terminal: Terminal,
        key: str | None,
        fingerprint: str | None,
        answer: Answer,
        seconds: int,
        record: Record | None = None,
    ) -> None:
        if key is not None:
            kind = "scan" if record is not None else answer[0]
            self.marks[terminal.terminal_id, key] = Mark(fingerprint, answer, self.age + seconds, record, kind)

    # What may happen to a key before anything else is looked at.

    def before(self, step: Step) -> Answer | None:
        limited = self.limited(step.terminal)
        if limited is not None:
            return limited
        mark = self.mark(step.terminal, step.key)
        if mark is None:
            return CANCELLED if self.was_cancelled(step.terminal, step.key) else None
        if mark.fingerprint is None:
            return CANCELLED
        return again(mark.answer) if mark.fingerprint == step.fingerprint else REUSED

    def refuse(self, step: Step, outcome: Outcome, asked: int = -1, available: int = -1) -> Answer:
        """A step has no code that expires, so its refused key is remembered as long as one that was taken."""
        answer = refused(outcome, None, asked, available)
        self.keep(step.terminal, step.key, step.fingerprint, answer, limits.REDEMPTION_RETENTION_SECONDS)
        return answer
