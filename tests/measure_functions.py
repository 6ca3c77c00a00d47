"""Time inside the functions at the bounds: `python -m tests.measure_functions`.

docs/explanation/testing.md has the figures.

A member with LOTS_MAX lots and a basket of LEGS_MAX legs that takes every one of them, beside an ordinary scan (8 lots,
one leg), on a private durable Valkey. Figures are the server's own: `INFO commandstats`, microseconds of one FCALL
without its fsync and without the network; the largest of all calls from SLOWLOG.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import msgspec

from redemption.domain.commands import BenefitLeg, Bill, Leg, PointsLeg, StoredValueLeg
from redemption.domain.limits import LEGS_MAX, LOTS_MAX
from redemption.rules.definitions import BenefitDefinition, Item
from tests.support.engine import world
from tests.support.engine.commands import Code, Scan, Step
from tests.support.engine.driver import Engine, frozen_library
from tests.support.servers.private_servers import ValkeyServer

ROUNDS = 200
NOW_MS = 1_795_881_600_000
HOTEL = world.TERMINALS[0]
BENEFITS = tuple(f"benefit{number}" for number in range(LEGS_MAX - 2))
DEFINITION = BenefitDefinition(
    name=world.NAME, granted_by="hotel", discount=Item(1), per_day=1_000, per_month=1_000, per_stay=1_000
)
BILL = Bill("T-1", 100_000, "CNY", "STAY-1")


def lots_of(asset: str, lots: int) -> dict[tuple[str, str], int]:
    return {(asset, f"{203001 + number % 12}.issuer{number // 12}"): 1 for number in range(lots)}


def largest() -> tuple[dict[tuple[str, str], int], tuple[Leg, ...]]:
    """LOTS_MAX lots, and the LEGS_MAX legs that take all of them."""
    of_benefits, of_money = 12, 20
    of_points = LOTS_MAX - of_money - of_benefits * len(BENEFITS)
    lots = lots_of("points", of_points) | lots_of("CNY", of_money)
    for name in BENEFITS:
        lots |= lots_of(f"benefit:{name}", of_benefits)
    legs: list[Leg] = [BenefitLeg(benefit_id=name, uses=of_benefits) for name in BENEFITS]
    legs += [PointsLeg(points=of_points), StoredValueLeg(amount_minor=of_money)]
    assert (len(lots), len(legs)) == (LOTS_MAX, LEGS_MAX)
    return lots, tuple(legs)


class Measured:
    """Calls of one member, their times by name."""

    def __init__(self, engine: Engine, lots: dict[tuple[str, str], int], legs: tuple[Leg, ...]) -> None:
        configuration = world.configuration(world.POLICIES["grace"])
        policy = msgspec.structs.replace(
            configuration.policy, terminal_rate=1_000_000, outlet_rate=1_000_000, member_rate=1_000_000
        )
        terms = dict.fromkeys(BENEFITS, "1000,1000,1000,*")
        made = type(configuration)(
            1,
            world.BUCKETS,
            world.GROUP_ZONE,
            policy,
            world.TIERS,
            dict.fromkeys(BENEFITS, DEFINITION),
            terms,
            world.BUSINESSES,
            {},
        )
        engine.reset(made, NOW_MS)
        engine.set_member(1, tier="gold", name="A", status="active")
        engine.issue("iss_all", 1, lots)
        self.engine, self.legs, self.calls = engine, legs, 0
        self.spent: dict[str, list[int]] = {}

    def timed(self, name: str, command: str = "fcall") -> None:
        """Reads and clears what the server says of the one call since the last time."""
        text = self.engine.run(self.engine.ask("INFO", "commandstats")).decode()
        line = next(row for row in text.splitlines() if row.startswith(f"cmdstat_{command}:"))
        fields = dict(pair.split("=") for pair in line.partition(":")[2].split(","))
        assert fields["calls"] == "1"
        self.spent.setdefault(name, []).append(int(fields["usec"]))
        self.engine.run(self.engine.ask("CONFIG", "RESETSTAT"))

    def scan(self, hold_seconds: int) -> str:
        self.calls += 1
        code = Code(1, NOW_MS // 2000 - 10_000_000 + self.calls, "nonce", False)
        scan = Scan(HOTEL, code, f"key{self.calls}", BILL, self.legs, hold_seconds, True)
        answer = self.engine.verify(scan)
        self.timed("hold" if hold_seconds else "redeem")
        assert answer[0] == "redemption", answer
        return str(answer[1])

    def step(self, name: str, subject: str) -> None:
        self.calls += 1
        answer = self.engine.step(Step(name, HOTEL, subject, f"key{self.calls}"))
        self.timed(name)
        assert answer[0] == "redemption", answer

    def round(self) -> None:
        self.engine.member(1)
        self.timed("read_member", "fcall_ro")
        self.step("refund", self.scan(0))
        held = self.scan(600)
        self.step("capture", held)
        self.step("refund", held)
        self.step("void", self.scan(600))
        self.engine.cancel_id(HOTEL, self.scan(0))
        self.timed("cancel")


def main() -> None:
    server = ValkeyServer("--slowlog-log-slower-than", "2000", "--slowlog-max-len", "1000")
    engine = None
    try:
        server.start()
        engine = Engine(server.port, frozen_library())
        ordinary = (lots_of("points", 8), (PointsLeg(points=5),))
        for title, (lots, legs) in (("ordinary", ordinary), ("largest", largest())):
            measured = Measured(engine, lots, legs)
            engine.run(engine.ask("CONFIG", "RESETSTAT"))
            engine.run(engine.ask("SLOWLOG", "RESET"))
            for _ in range(ROUNDS):
                measured.round()
            slow = engine.run(engine.ask("SLOWLOG", "GET", 1_000))
            over = sorted(entry[2] for entry in slow if entry[3][0].lower().startswith(b"fcall"))
            print(f"{title}: {len(lots)} lots, {len(legs)} legs; calls over 2 ms: {len(over)} {over[-5:]}")
            for name, spent in measured.spent.items():
                spent.sort()
                median, tail = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
                figures = f"least {spent[0]:5d}   median {median:5d}   99 % {tail:5d}   most {spent[-1]:5d}"
                print(f"  {name:11} {figures}   microseconds")
    finally:
        if engine is not None:
            engine.close()
        server.remove()


if __name__ == "__main__":
    main()
