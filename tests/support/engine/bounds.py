"""How many lots a member may have: more are refused before anything is written, and what comes back always fits."""

from itertools import count

from redemption.domain.commands import PointsLeg
from redemption.domain.limits import LOTS_MAX
from redemption.domain.outcomes import Outcome
from tests.support.engine import world
from tests.support.engine.commands import Code, Scan, Step
from tests.support.engine.driver import Engine

NOW_MS = 1_795_881_600_000
HOTEL = world.TERMINALS[0]


def lots_from(first: int, lots: int, amount: int = 1) -> dict[tuple[str, str], int]:
    """So many lots of points in future months, by month and invented issuer."""
    numbers = range(first, first + lots)
    return {("points", f"{203001 + number % 12}.issuer{number // 12}"): amount for number in numbers}


def points_of(engine: Engine) -> int:
    member = engine.member(1)
    assert member is not None
    return member.sum_of("points")


def check_bound_of_lots(engine: Engine) -> None:
    """A member may have LOTS_MAX lots and no new one beyond; a hold of them all is released although others came in."""
    engine.reset(world.configuration(world.POLICIES["grace"]), NOW_MS)
    engine.set_member(1, tier="gold", name="A", status="active")
    assert engine.issue("iss_full", 1, lots_from(0, LOTS_MAX)) == ("issued", 0, False)
    assert engine.issue("iss_known", 1, lots_from(0, 3)) == ("issued", 0, False), "into lots that are there"
    before = engine.dump()
    assert engine.issue("iss_one_more", 1, lots_from(LOTS_MAX, 1))[1] == Outcome.LIMIT_REACHED
    assert engine.dump()[-1] == before[-1], "refused means unchanged"
    numbers = count(NOW_MS // 2000)
    holds = []
    for _ in range(2):  # all of them leave; as many new ones come
        code = Code(1, next(numbers), "nonce", False)
        legs = (PointsLeg(points=points_of(engine)),)
        held = engine.verify(Scan(HOTEL, code, f"key{code.slot}", None, legs, 3_600, True))
        assert held[:1] + held[2:3] == ("redemption", "held"), held
        holds.append(held[1])
        assert engine.issue(f"iss_{code.slot}", 1, lots_from(1_000 + code.slot % 2 * 500, LOTS_MAX - 5))[1] == 0
    for subject in holds:
        answer = engine.step(Step("void", HOTEL, subject, None))
        assert answer[2] == "voided", answer
    assert points_of(engine) == LOTS_MAX + 3 + 2 * (LOTS_MAX - 5)
