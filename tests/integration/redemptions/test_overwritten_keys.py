"""Whatever somebody overwrote in the hot store: a call that stops there has changed nothing.

Each call of the engine, against each key of its member made another type or filled with what is no number. Lua has no
rollback, so each function has to read before its first write what it will write later.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_changes

from redemption.domain.commands import BenefitLeg, Bill, PointsLeg, StoredValueLeg
from redemption.domain.members import bucket_of, member_id
from redemption.hot import keys
from redemption.hot.faults import ServerRefused
from redemption.hot.library import Library
from tests.support.engine.commands import Code, Purchase, Scan, Step
from tests.support.engine.driver import Engine, frozen_library
from tests.support.engine.world import BENEFITS, BUCKETS, POLICIES, TERMINALS, TERMS, configuration
from tests.support.servers.private_servers import ValkeyServer

NOW_MS = 1_790_000_000_000
MEMBER, NEIGHBOUR = 1, 3  # in one bucket
NEIGHBOURS = f":{member_id(NEIGHBOUR)}"
HOLD_SECONDS = 120
TILL = TERMINALS[0]
BILL = Bill(reference="B-1", amount_minor=50_000, currency="CNY", stay="room-7")
ANOTHER_BILL = Bill(reference="B-2", amount_minor=50_000, currency="CNY")
LOTS = {
    ("points", "209912.hotel"): 500,
    ("CNY", "-.hotel"): 5_000,
    ("benefit:parking", "209912.mall"): 9,
    ("benefit:breakfast", "209912.hotel"): 9,
}
LEGS = (PointsLeg(points=5), BenefitLeg(benefit_id="parking", uses=1), BenefitLeg(benefit_id="breakfast", uses=1))
ANOTHER_TYPE, NO_NUMBER = "another type", "no number"
NUMBERS_OF_MEMBER = ("held", "growth", "owed")


class Environment:
    """A member with value, a hold, a redemption and an accrual; fresh for each case."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Counters without a cap are written too, and were once not read before.
        uncapped = with_changes(BENEFITS["parking"], per_day=None, per_month=None)
        group = replace(
            configuration(POLICIES["grace"]),
            benefits=BENEFITS | {"parking": uncapped},
            terms=TERMS | {"parking": "0,0,0,*"},
        )
        engine.reset(group, NOW_MS)
        for number in (MEMBER, NEIGHBOUR):
            engine.set_member(number, tier="gold", name="L**", status="active")
            engine.issue(f"iss_{number}", number, LOTS)
        self._slots = iter(range(NOW_MS // 2_000, NOW_MS // 2_000 + 1_000))
        self.held = self._subject(self.scan(hold=True))
        self.captured = self._subject(self.scan(stay="room-8"))
        accrual = engine.accrue(Purchase(TILL, MEMBER, self._code(MEMBER), "k-accrual", BILL))
        assert accrual[0] == "accrual", accrual
        self.accrual = str(accrual[1])

    def _code(self, number: int) -> Code:
        return Code(number, next(self._slots), "nonce", False)

    def _subject(self, answer: Any) -> str:
        assert answer[0] == "redemption", answer
        return str(answer[1])

    def scan(self, *, hold: bool = False, stay: str = "room-7", number: int = MEMBER) -> Any:
        code = self._code(number)
        bill = Bill(reference=f"B-{code.slot}", amount_minor=50_000, currency="CNY", stay=stay)
        seconds = HOLD_SECONDS if hold else 0
        return self.engine.verify(Scan(TILL, code, f"k-{code.slot}", bill, LEGS, seconds, True))

    def step(self, name: str, subject: str, *legs: PointsLeg | StoredValueLeg) -> Any:
        return self.engine.step(Step(name, TILL, subject, f"k-{name}", legs or None))

    def content(self) -> dict[str, bytes]:
        """Everything of value with its content; counters of rates move with every call."""

        async def read() -> dict[str, bytes]:
            names = [name.decode() for name in await self.engine.ask("KEYS", "{*")]
            return {
                name: await self.engine.ask("DUMP", name) for name in sorted(names) if name.split(":")[1] != "guess"
            }

        return self.engine.run(read())

    def overwrite(self, name: str, how: str) -> bool:
        """Whether there is such a way to spoil this key."""

        async def write() -> bool:
            kind = await self.engine.ask("TYPE", name)
            if how == ANOTHER_TYPE:
                await self.engine.ask("DEL", name)
                await self.engine.ask(*(("RPUSH", name, "x") if kind == b"string" else ("SET", name, "x")))
                return True
            family = name.split(":")[1]
            if family == "member" and how in NUMBERS_OF_MEMBER:
                await self.engine.ask("HSET", name, how, "x")
                return True
            if family not in ("lots", "uses", "stay") or how != NO_NUMBER:
                return False
            for field in await self.engine.ask("HKEYS", name):
                await self.engine.ask("HSET", name, field, "x")
            return True

        return self.engine.run(write())


CALLS: dict[str, Callable[[Environment], Any]] = {
    "scan": lambda environment: environment.scan(stay="room-9"),
    "hold": lambda environment: environment.scan(hold=True, stay="room-9"),
    "capture": lambda environment: environment.step("capture", environment.held),
    "capture in part": lambda environment: environment.step("capture", environment.held, PointsLeg(points=2)),
    "void": lambda environment: environment.step("void", environment.held),
    "refund": lambda environment: environment.step("refund", environment.captured),
    "refund in part": lambda environment: environment.step("refund", environment.captured, PointsLeg(points=2)),
    "cancel a hold": lambda environment: environment.engine.cancel_id(TILL, environment.held),
    "cancel a redemption": lambda environment: environment.engine.cancel_id(TILL, environment.captured),
    "accrue": lambda environment: environment.engine.accrue(
        Purchase(TILL, MEMBER, Code(MEMBER, NOW_MS // 2_000 + 2_000, "nonce", False), "k-another", ANOTHER_BILL)
    ),
    "reverse an accrual": lambda environment: environment.engine.reverse(
        Step("reverse", TILL, environment.accrual, "k-reverse")
    ),
    "issue": lambda environment: environment.engine.issue("iss_another", MEMBER, LOTS),
}


def half_done(engine: Engine) -> tuple[list[str], int]:
    """Cases in which a call failed and something had changed; how many calls failed at all."""
    wrong, stopped = [], 0
    kinds = sorted({name.split(":")[1] for name in Environment(engine).content()})
    for call, make in CALLS.items():
        for kind in kinds:
            for how in (ANOTHER_TYPE, NO_NUMBER, *NUMBERS_OF_MEMBER):
                environment = Environment(engine)
                # Ids are random: the keys of this kind as they are called this time.
                there = [
                    name for name in environment.content() if name.split(":")[1] == kind and NEIGHBOURS not in name
                ]
                if not all(environment.overwrite(name, how) for name in there):
                    continue
                before = environment.content()
                try:
                    make(environment)
                except ServerRefused:
                    stopped += 1
                    if environment.content() != before:
                        wrong.append(f"{call}: {kind} made {how}")
    return wrong, stopped


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ValkeyServer("--appendonly", "no")
    try:
        server.start()
        yield server.port
    finally:
        server.remove()


def found_with(port: int, library: Library) -> tuple[list[str], int]:
    engine = Engine(port, library)
    try:
        return half_done(engine)
    finally:
        engine.close()


def test_every_call_works_in_this_environment(port: int) -> None:
    engine = Engine(port, frozen_library())
    try:
        for call, make in CALLS.items():
            environment = Environment(engine)
            before = environment.content()
            answer = make(environment)
            assert answer[0] in ("redemption", "cancelled", "accrual", "reversed", "issued"), f"{call}: {answer}"
            assert environment.content() != before, call
    finally:
        engine.close()


def test_a_call_that_meets_an_overwritten_key_changes_nothing(port: int) -> None:
    wrong, stopped = found_with(port, frozen_library())
    assert wrong == []
    assert stopped > 40


UNREAD = {
    "steps": {"lifecycle": [("  holdings(lots, month)\n  integer(call('HGET', member, 'held') or 0)\n", "")]},
    "counters": {"lifecycle": [("  if not record.uses then return end\n", "  do return end\n")]},
    "holds": {"redeem": [("if held then call('ZCARD', holds) end", "")]},
    "growth": {"accrue": [("integer(state[8] or 0) -- it grows below\n", "")]},
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_function_that_does_not_read_first_is_found(port: int, name: str) -> None:
    wrong, _ = found_with(port, frozen_library(UNREAD[name]))
    assert wrong


def test_a_members_overwritten_key_holds_up_no_neighbours_hold(port: int) -> None:
    engine = Engine(port, frozen_library())
    try:
        environment = Environment(engine)
        environment.scan(hold=True, number=NEIGHBOUR)
        bucket = bucket_of(MEMBER, BUCKETS)
        environment.overwrite(keys.lots(bucket, member_id(MEMBER)), ANOTHER_TYPE)
        engine.advance(HOLD_SECONDS + 60)
        before = environment.content()
        assert engine.sweep(bucket) == ("swept", 1, 1)
        assert engine.sweep(bucket) == ("swept", 0, 1)
        record = keys.redemption(bucket, environment.held)
        assert environment.content()[record] == before[record]
    finally:
        engine.close()
