"""All calls of the engine in random interleavings and with clock jumps; engine_checks.py says what must hold then."""

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from redemption.configuration.current import Terminal
from redemption.domain.commands import Bill
from tests.support.engine import world
from tests.support.engine.checks import DAY, Checked
from tests.support.engine.commands import Code, Purchase, Scan, Step
from tests.support.engine.model import Member
from tests.support.engine.model_steps import EngineModel

STARTS = (
    1_795_881_600_000,  # 2026-11-28T16:00Z: midnight in Shanghai
    1_796_054_350_500,  # 2026-11-30T15:59:10.500Z: the month ends in 50 s
    1_798_646_100_007,  # 2026-12-30T15:55Z, 7 ms
)
CLOCK = (
    *(((0, millis)) for millis in (1, 400, 999)),
    *(((seconds, 0)) for seconds in (5, 10, 30, 60, 65, 120, 300, 600, 900, 3_600, 7_200)),
)
DAYS = (1, 2, 5, 14, 20, 31)
CALLS_BETWEEN = 5  # two long waits, so that something is there to grow old
AGE_MAX_SECONDS = 65 * DAY  # counters of uses die after 100 days: the machine stays below

some = st.integers(0, 5)
"""Which of the latest redemptions, accruals, scans or steps."""
AT = {terminal.terminal_id: terminal for terminal in world.TERMINALS}
terminals = st.sampled_from(sorted(AT))
members = st.sampled_from(world.MEMBERS)
parts = st.sampled_from(world.PARTS)


def moved(terminal: Terminal, to: str) -> Terminal:
    """The terminal as it is once it stands where another one stands."""
    return replace(AT[to], terminal_id=terminal.terminal_id)


class EngineMachine(Checked):
    """The rules: one call each, mostly such as a till would make next."""

    @initialize(
        policy=st.sampled_from(("grace", "ceilings", "forfeit", "forfeit", "few calls")), start=st.sampled_from(STARTS)
    )
    def begin(self, policy: str, start: int) -> None:
        configuration = world.configuration(world.POLICIES[policy])
        self.engine.reset(configuration, start)
        tiers = {1: "gold", 2: "standard", 3: "gold"}
        self.model = EngineModel(configuration, start, {number: Member(tiers[number]) for number in world.MEMBERS})
        self.model.accruals, self.model.issued = {}, {}
        self.numbers = count(1)
        self.scans: list[Scan] = []
        self.redemptions: list[str] = []
        self.purchases: list[Purchase] = []
        self.accruals: list[str] = []
        self.past_steps: list[Step] = []
        self.known_keys: list[tuple[Any, str]] = []
        self.next_slot: Counter[int] = Counter()
        self.codes: list[Code] = []
        self.replayed = Counter()
        self.uses_of_codes = Counter()
        self.dead_keys = {}
        self.before = []
        self.calls_since = 0
        month = self.model.month()
        for number in world.MEMBERS:
            self.engine.set_member(number, tier=tiers[number], name="陳**", status="active")
        for number in world.MEMBERS:
            lots = {
                ("points", f"{month}.hotel"): 30,
                ("points", f"{month}.mall"): 6 * number,
                ("points", f"{month + 1 if month % 100 < 12 else month + 89}.mall"): 15,
                ("benefit:parking", f"{month}.mall"): 4,
                ("benefit:parking", "-.mall"): 3,
                ("benefit:dinner", f"{month}.mall"): 2,
                ("benefit:breakfast", f"{month}.hotel"): 3,
                ("benefit:upgrade", "-.hotel"): 2,
                ("CNY", "-.hotel"): 60,
                ("HKD", "-.harbour"): 40,
            }
            issue = f"iss_{number}"
            assert self.engine.issue(issue, number, lots) == self.model.issue(issue, number, lots)
            self.look_at_everything(changed=True)

    # Codes and keys.

    def fresh_code(self, number: int, marker: str) -> Code:
        now_slot = self.model.now_ms // 2000
        slot = min(max(now_slot, self.next_slot[number]), now_slot + 48)  # no code is made further ahead
        self.next_slot[number] = slot + 1
        return self.aged(Code(number, slot, marker, False))

    def aged(self, code: Code) -> Code:
        return code._replace(expired=code.slot * 2 + 30 <= self.model.now_ms // 1000)

    def code(self, number: int, kind: str) -> Code:
        """A fresh one as JWT or digits; one read before, the other form of it, another of its slot; an old one."""
        if kind in ("jwt", "digits"):
            made = self.fresh_code(number, "digits" if kind == "digits" else f"nonce{next(self.numbers)}")
            self.codes.append(made)
            return made
        if kind == "old":
            return self.aged(Code(number, self.model.now_ms // 2000 - 16, "old", True))
        last = self.codes[-1] if self.codes else self.fresh_code(number, "jwt0")
        if kind == "other form":
            last = last._replace(marker="digits" if last.marker != "digits" else "nonceX")
        return self.aged(last)

    def key(self, terminal: Any, fresh: bool = True, which: int = 0) -> str:
        if not fresh and self.known_keys:
            return self.known_keys[-1 - which % len(self.known_keys)][1]
        made = f"key {next(self.numbers)}".replace(" ", ":;,{}"[next(self.numbers) % 5])
        self.known_keys.append((terminal, made))
        return made

    def redemption(self, which: int) -> str:
        return self.redemptions[-1 - which % min(6, len(self.redemptions))]

    # The rules.

    def scan(self, scan: Scan) -> None:
        actual = self.engine.verify(scan)
        expected = self.model.verify(scan, str(actual[1]))
        if actual[0] == "redemption" and not actual[-1]:
            self.redemptions.append(actual[1])
            self.uses_of_codes[scan.code.member_number, scan.code.slot, scan.code.marker] += 1
        self.settle("verify", actual, expected, scan)

    @rule(
        number=members,
        at=terminals,
        basket=st.sampled_from(world.BASKETS),
        amount=st.sampled_from(world.AMOUNTS),
        stay=st.sampled_from(world.STAYS),
        hold=st.sampled_from((0, 0, None, 1, 30, 900, 3_600, 14 * DAY)),
        confirm=st.sampled_from((False, True, True)),
        kind=st.sampled_from((*["jwt"] * 6, "digits", "digits", "last", "other form", "old")),
        fresh=st.sampled_from((True, True, True, True, True, False)),
    )
    def verify(
        self,
        number: int,
        at: str,
        basket: Any,
        amount: int | None,
        stay: str | None,
        hold: int | None,
        confirm: bool,
        kind: str,
        fresh: bool,
    ) -> None:
        terminal = AT[at]
        bill = world.bill(amount, stay, terminal.business.currency)
        scan = Scan(terminal, self.code(number, kind), self.key(terminal, fresh), bill, basket, hold, confirm)
        self.scans.append(scan)
        self.scan(scan)

    @rule(number=members, at=terminals, basket=st.sampled_from(world.BASKETS), held=st.booleans())
    def next_scan(self, number: int, at: str, basket: Any, held: bool) -> None:
        """What mostly happens: a fresh code, a fresh key, a bill that is large enough."""
        terminal = AT[at]
        bill = world.bill(3_333, "STAY-1", terminal.business.currency)
        scan = Scan(terminal, self.code(number, "jwt"), self.key(terminal), bill, basket, 600 if held else 0, True)
        self.scans.append(scan)
        self.scan(scan)

    @precondition(lambda self: self.scans)
    @rule(which=some, change=st.sampled_from(("nothing", "moved", "body", "terminal", "key")), at=terminals)
    def verify_again(self, which: int, change: str, at: str) -> None:
        """A repeat, also from where the terminal moved to; the same key with another body or at another terminal; the
        same code and basket under another key."""
        terminal = AT[at]
        last = self.scans[-1 - which % min(6, len(self.scans))]
        if change == "moved":
            terminal = moved(last.terminal, at)
        elif change != "terminal" or terminal.business is not last.terminal.business:
            terminal = last.terminal
        scan = Scan(
            terminal,
            self.aged(last.code) if change != "key" else self.code(last.code.member_number, "jwt"),
            self.key(last.terminal) if change == "key" else last.key,
            last.bill,
            (*last.legs, *world.BASKETS[1]) if change == "body" else last.legs,
            last.hold_seconds,
            last.confirm and change != "key",
        )
        if change == "key":
            self.scans.append(scan)
        self.scan(scan)

    @precondition(lambda self: self.scans)
    @rule(which=some, body=st.booleans(), at=terminals)
    def verify_unread(self, which: int, body: bool, at: str) -> None:
        """A repeat of whose code nothing can be read any more, now and then with another body, from anywhere."""
        last = self.scans[-1 - which % min(6, len(self.scans))]
        scan = replace(last, terminal=moved(last.terminal, at), legs=(*last.legs, *world.BASKETS[1 if body else 0]))
        self.settle("verify unread", self.engine.verify_unread(scan), self.model.unread(scan), scan)

    def take_step(self, step: Step) -> None:
        actual = self.engine.reverse(step) if step.name == "reverse" else self.engine.step(step)
        expected = self.model.reverse(step) if step.name == "reverse" else self.model.step(step)
        self.settle(step.name, actual, expected, step)

    @precondition(lambda self: self.redemptions)
    @rule(
        name=st.sampled_from(("capture", "capture", "refund", "refund", "void")),
        which=some,
        at=terminals,
        own=st.sampled_from((True, True, True, False)),
        legs=parts,
        keyed=st.sampled_from(("none", "fresh", "fresh", "known")),
    )
    def step(self, name: str, which: int, at: str, own: bool, legs: Any, keyed: str) -> None:
        terminal = AT[at]
        subject = self.redemption(which)
        if own:
            business = self.model.records[subject].business
            terminal = next(each for each in world.TERMINALS if each.business.business_id == business)
        key = None if keyed == "none" else self.key(terminal, keyed == "fresh", which)
        step = Step(name, terminal, subject, key, None if name == "void" else legs)
        self.past_steps.append(step)
        self.take_step(step)

    def live(self) -> list[str]:
        """Redemptions of which something may still become."""
        ends = ("voided", "expired", "reversed", "refunded")
        return [subject for subject, record in self.model.records.items() if record.status not in ends]

    @precondition(lambda self: self.live())
    @rule(which=some, legs=parts, void=st.sampled_from((False, False, False, True)), keyed=st.booleans())
    def next_step(self, which: int, legs: Any, void: bool, keyed: bool) -> None:
        """What a till would do next: capture or void what is held, refund what is captured."""
        subject = self.live()[which % len(self.live())]
        record = self.model.records[subject]
        terminal = next(each for each in world.TERMINALS if each.business.business_id == record.business)
        name = "refund" if record.status != "held" else "void" if void else "capture"
        step = Step(name, terminal, subject, self.key(terminal) if keyed else None, None if name == "void" else legs)
        self.past_steps.append(step)
        self.take_step(step)

    @precondition(lambda self: self.past_steps)
    @rule(which=some, legs=parts, same=st.sampled_from((True, True, False)))
    def step_again(self, which: int, legs: Any, same: bool) -> None:
        step = self.past_steps[-1 - which % min(6, len(self.past_steps))]
        if not same and step.name in ("capture", "refund"):
            step = Step(step.name, step.terminal, step.subject, step.key, legs)
        self.take_step(step)

    @rule(
        which=some,
        number=members,
        at=terminals,
        kind=st.sampled_from(("scan", "scan", "known", "unseen")),
        moves=st.booleans(),
        unread=st.booleans(),
    )
    def cancel_key(self, which: int, number: int, at: str, kind: str, moves: bool, unread: bool) -> None:
        """By key and code, also before the scan arrives: the scan is kept, so that it may come late. The terminal may
        have moved to another business, and nothing may be left to read of the code."""
        terminal = AT[at]
        if kind == "unseen" or not self.scans:
            code = self.code(number, "jwt")
            scan = Scan(terminal, code, self.key(terminal), None, world.BASKETS[1], 0, True)
            self.scans.append(scan)
            key = scan.key
        elif kind == "scan":
            scan = self.scans[-1 - which % min(6, len(self.scans))]
            terminal, key, code = scan.terminal, scan.key, scan.code
        else:
            terminal, key = self.known_keys[-1 - which % len(self.known_keys)]
            code = self.code(number, "jwt")
        if moves:
            terminal = moved(terminal, at)
        actual = self.engine.cancel_key(terminal, key, None if unread else code)
        expected = self.model.cancel_key(terminal, key, None if unread else code)
        if actual[:2] == ("cancelled", "tombstoned"):
            self.dead_keys[terminal.terminal_id, key] = None, self.model.age
        self.settle("cancel", actual, expected)

    @precondition(lambda self: self.redemptions)
    @rule(which=some, at=terminals, own=st.sampled_from((True, True, False)))
    def cancel_id(self, which: int, at: str, own: bool) -> None:
        terminal = AT[at]
        subject = self.redemption(which)
        if own:
            business = self.model.records[subject].business
            terminal = next(each for each in world.TERMINALS if each.business.business_id == business)
        self.settle("cancel", self.engine.cancel_id(terminal, subject), self.model.cancel_id(terminal, subject))

    @precondition(lambda self: any(record.status == "held" for record in self.model.records.values()))
    @rule(bucket=st.integers(0, world.BUCKETS - 1))
    def sweep(self, bucket: int) -> None:
        self.settle("sweep", self.engine.sweep(bucket), self.model.sweep(bucket))

    def buy(self, purchase: Purchase) -> None:
        actual = self.engine.accrue(purchase)
        expected = self.model.accrue(purchase, str(actual[1]) if len(actual) > 1 else "")
        if actual[0] == "accrual" and not actual[-1]:
            self.accruals.append(actual[1])
            if purchase.code is not None:
                self.uses_of_codes[purchase.code.member_number, purchase.code.slot, purchase.code.marker] += 1
        self.settle("accrue", actual, expected, purchase)

    @rule(
        number=members,
        at=terminals,
        amount=st.sampled_from((0, 49, 69, 70, 99, 250, 1_000, 3_333)),
        kind=st.sampled_from(("id", "seen", "seen", "jwt", "jwt", "digits", "last", "old")),
        fresh=st.sampled_from((True, True, True, False)),
        reference=st.sampled_from(("T-1", "T-2", *["new"] * 4)),
        confirm=st.booleans(),
    )
    def accrue(self, number: int, at: str, amount: int, kind: str, fresh: bool, reference: str, confirm: bool) -> None:
        terminal = AT[at]
        if kind == "seen" and self.scans:  # the member of the last scan, at its till
            terminal, number = self.scans[-1].terminal, self.scans[-1].code.member_number
        kind = "id" if kind == "seen" else kind
        reference = f"B-{next(self.numbers)}" if reference == "new" else reference
        bill = Bill(reference, amount, terminal.business.currency)
        code = None if kind == "id" else self.code(number, kind)
        number = number if code is None else code.member_number
        purchase = Purchase(terminal, number, code, self.key(terminal, fresh), bill, confirm)
        self.purchases.append(purchase)
        self.buy(purchase)

    @precondition(lambda self: self.purchases)
    @rule(which=some)
    def accrue_again(self, which: int) -> None:
        last = self.purchases[-1 - which % min(6, len(self.purchases))]
        code = None if last.code is None else self.aged(last.code)
        self.buy(Purchase(last.terminal, last.member_number, code, last.key, last.bill, last.confirm))

    @precondition(lambda self: self.purchases)
    @rule(
        which=some, amount=st.sampled_from((None, None, 99, 250, 1_000)), confirm=st.sampled_from((True, True, False))
    )
    def accrue_the_bill_again(self, which: int, amount: int | None, confirm: bool) -> None:
        """The same bill under another key, with the same amount or another."""
        last = self.purchases[-1 - which % min(6, len(self.purchases))]
        bill = last.bill if amount is None else msgspec.structs.replace(last.bill, amount_minor=amount)
        code = self.code(last.member_number, "jwt")
        purchase = Purchase(last.terminal, last.member_number, code, self.key(last.terminal), bill, confirm)
        self.purchases.append(purchase)
        self.buy(purchase)

    @precondition(lambda self: self.accruals)
    @rule(which=some, at=terminals, keyed=st.sampled_from(("none", "fresh", "known")), own=st.booleans())
    def reverse(self, which: int, at: str, keyed: str, own: bool) -> None:
        terminal = AT[at]
        subject = self.accruals[-1 - which % min(6, len(self.accruals))]
        if own:
            business = self.model.accruals[subject].business
            terminal = next(each for each in world.TERMINALS if each.business.business_id == business)
        key = None if keyed == "none" else self.key(terminal, keyed == "fresh", which)
        step = Step("reverse", terminal, subject, key)
        self.past_steps.append(step)
        self.take_step(step)

    @rule(number=members, asset=st.sampled_from(("points", "benefit:parking", "CNY")), months=st.integers(-1, 2))
    def issue(self, number: int, asset: str, months: int) -> None:
        month = self.model.month() // 100 * 12 + self.model.month() % 100 - 1 + months
        lot = f"{month // 12}{month % 12 + 1:02d}.mall" if months >= 0 else "-.mall"
        issue, lots = f"iss_{number}_{next(self.numbers) // 4}", {(asset, lot): 5}
        self.settle("issue", self.engine.issue(issue, number, lots), self.model.issue(issue, number, lots))

    @rule(number=members, change=st.sampled_from(("active", "active", "gold", "standard", "blocked", "revoke")))
    def set_member(self, number: int, change: str) -> None:
        member = self.model.members[number]
        if change == "revoke":
            member.codes_valid_from = self.model.now_ms // 1000 + 1
            self.engine.set_member(number, codes_valid_from=member.codes_valid_from)
        elif change in ("gold", "standard"):
            member.tier = change
            self.engine.set_member(number, tier=change)
        else:
            member.status = change
            self.engine.set_member(number, status=change)
        self.look_at_everything(changed=True)

    @rule(number=members, which=some)
    def look(self, number: int, which: int) -> None:
        """What reads tell: the member with all lots, and a redemption."""
        state, member = self.engine.member(number), self.model.members[number]
        assert state is not None
        assert (state.points_held, state.growth, state.owed) == (member.held, member.growth, member.owed)
        lots = {(lot.asset, f"{lot.expires_month or '-'}.{lot.issuer}"): lot.amount for lot in state.lots}
        assert lots == {name: amount for name, amount in member.lots.items() if not self.model.over(name[1])}
        if self.redemptions:
            subject = self.redemption(which)
            record = self.model.record(subject)
            found = self.engine.find(subject, self.model.records[subject].business)
            assert (found and found.status) == (record and record.status)
        self.look_at_everything(changed=False)

    @precondition(lambda self: self.model.age < AGE_MAX_SECONDS)
    @rule(passed=st.sampled_from(CLOCK))
    def wait(self, passed: tuple[int, int]) -> None:
        self.advance(*passed)

    @precondition(lambda self: self.model.age < AGE_MAX_SECONDS and self.calls_since > CALLS_BETWEEN)
    @rule(days=st.sampled_from(DAYS))
    def wait_long(self, days: int) -> None:
        """Days go by; the sweeper runs all the while, here at least once in two weeks."""
        self.calls_since = 0
        while days > 0:
            self.advance(min(days, 14) * DAY, 0)
            days -= 14
            for bucket in range(world.BUCKETS):
                assert self.engine.sweep(bucket) == self.model.sweep(bucket)
                self.look_at_everything(changed=True)

    def advance(self, seconds: int, millis: int) -> None:
        self.engine.advance(seconds, millis)
        self.model.now_ms += seconds * 1000 + millis
        self.model.age += seconds
        self.before = self.engine.dump()  # marks, codes and records may have died
