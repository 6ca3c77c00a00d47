"""How long a key is known, and where it is looked for when its code cannot be read.

A key is known at least as long as its sale can be cancelled, also after a hold that was captured late. On a single
server it is looked for in one place, on a cluster in every bucket.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from redemption.addresses import Addresses
from redemption.cancellation import Cancellations
from redemption.domain import limits
from redemption.domain.outcomes import Outcome, Refusal
from redemption.rules.policy import Policy
from redemption.service import Redemptions
from tests.support.engine import world
from tests.support.engine.commands import Code, Scan, Step
from tests.support.engine.driver import Engine, running_engine

DAY = 86_400
START_MS = 1_795_881_600_000
MEMBER = 1
HOTEL = world.TERMINALS[0]
LONGEST = Policy(cancel_window_seconds=limits.CANCEL_WINDOW_SECONDS_MAX)


@pytest.fixture(scope="module")
def server() -> Iterator[Engine]:
    with running_engine(Engine) as made:
        yield made


@pytest.fixture
def engine(server: Engine) -> Engine:
    server.reset(world.configuration(LONGEST), START_MS)
    server.set_member(MEMBER, tier="gold", name="x", status="active")
    server.issue("iss_1", MEMBER, {("points", "-.hotel"): 100})
    return server


def scan(hold_seconds: int) -> Scan:
    code = Code(MEMBER, START_MS // 2000, "nonce001", False)
    return Scan(HOTEL, code, "key-1", world.bill(3_333, None, "CNY"), world.BASKETS[5], hold_seconds, False)


def cancelled(engine: Engine, code: Code | None) -> str:
    told = engine.cancel_key(HOTEL, "key-1", code)
    return str(told[1]) if told[0] == "cancelled" else str(told[1].name).lower()


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
@pytest.mark.parametrize(("days", "found"), [(0, "reversed"), (2, "reversed"), (29, "reversed"), (31, None)], ids=str)
def test_a_sale_is_cancelled_by_its_key_for_as_long_as_the_longest_window(
    engine: Engine, days: int, found: str | None, readable: bool
) -> None:
    sale = scan(0)
    first = engine.verify(sale)
    assert first[0] == "redemption"
    engine.advance(days * DAY)
    repeat = engine.verify_unread(sale) if not readable else engine.verify(replace(sale, code=old(sale.code, days)))
    if found is not None:
        assert repeat == (*first[:-1], True), "a repeat is the first answer"
        assert cancelled(engine, sale.code if readable else None) == found
    else:
        outcome = Outcome.CODE_EXPIRED if readable else Outcome.CODE_FORGED
        assert repeat[:2] == ("refused", outcome), "a forgotten key is a new key, and the code is worth nothing"
        engine.advance(limits.REFUSAL_MARK_SECONDS + 5)
        assert cancelled(engine, sale.code if readable else None) == ("window_closed" if readable else "code_forged")


def old(code: Code, days: int) -> Code:
    return code._replace(expired=days > 0)


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
@pytest.mark.parametrize("captured_on", [1, 13])
def test_a_hold_that_was_captured_late_is_cancelled_by_its_key_in_the_whole_window(
    engine: Engine, captured_on: int, readable: bool
) -> None:
    held = scan(limits.HOLD_SECONDS_MAX)
    made = engine.verify(held)
    engine.advance(captured_on * DAY)
    taken = engine.step(Step("capture", HOTEL, made[1], "capture-1"))
    assert taken[2] == "captured"
    engine.advance(limits.CANCEL_WINDOW_SECONDS_MAX - 60)
    assert engine.verify_unread(held) == (*made[:-1], True)
    assert cancelled(engine, held.code if readable else None) == "reversed"
    assert engine.find(made[1], "hotel") is not None


def test_a_step_is_repeated_for_the_whole_retention(engine: Engine) -> None:
    made = engine.verify(scan(3_600))
    step = Step("void", HOTEL, made[1], "void-1")
    first = engine.step(step)
    engine.advance(limits.REDEMPTION_RETENTION_SECONDS - 60)
    assert engine.step(step) == (*first[:-1], True)


def test_the_window_of_a_group_that_says_nothing_covers_the_close_of_the_next_day() -> None:
    assert Policy().cancel_window_seconds == limits.CANCEL_WINDOW_SECONDS_DEFAULT >= 2 * DAY


@pytest.fixture
def clustered(engine: Engine) -> Engine:
    """The same engine where the keys of a terminal lie in the buckets of the members."""
    addresses = Addresses(lambda: engine.configuration, lambda: engine.now_ms / 1000, cluster=True)
    engine.redemptions = Redemptions(engine.store, addresses)
    engine.cancellations = Cancellations(engine.store, addresses)
    return engine


def marks(engine: Engine) -> set[str]:
    """Names of all idempotency records."""
    return {name.decode() for name in engine.run(engine.ask("KEYS", "{b*}:key:*"))}


@pytest.mark.parametrize("member", [1, 2], ids=["first bucket", "second bucket"])
def test_on_a_cluster_a_key_is_found_in_whichever_bucket_it_lies(clustered: Engine, member: int) -> None:
    clustered.set_member(member, tier="gold", name="x", status="active")
    clustered.issue("iss_2", member, {("points", "-.hotel"): 100})
    sale = replace(scan(0), code=Code(member, START_MS // 2000, "nonce002", False))
    first = clustered.verify(sale)
    assert clustered.verify_unread(sale) == (*first[:-1], True)
    assert cancelled(clustered, None) == "reversed"
    assert clustered.verify_unread(sale)[:2] == ("refused", Outcome.CANCELLED)


def test_on_a_cluster_a_refusal_is_kept_in_every_bucket_and_one_guess_is_counted(clustered: Engine) -> None:
    refusal = Refusal(Outcome.CODE_FORGED)
    keys = clustered.redemptions.known_keys
    for _ in range(2):
        settled = clustered.run(keys.settle(HOTEL, "key-1", scan(0).fingerprint, refusal, is_guess=True))
        assert settled.outcome is Outcome.CODE_FORGED
    assert marks(clustered) == {f"{{b{bucket}}}:key:{HOTEL.terminal_id}:key-1" for bucket in range(world.BUCKETS)}
    guesses = clustered.run(clustered.ask("KEYS", f"{{b*}}:guess:{HOTEL.terminal_id}"))
    assert [int(clustered.run(clustered.ask("GET", name))) for name in guesses] == [1]
    late = clustered.verify(scan(0))
    assert late == ("refused", Outcome.CODE_FORGED, None, -1, -1, True), "the late original is refused"


def test_on_a_cluster_a_cancel_that_finds_nothing_leaves_a_tombstone_wherever_the_original_may_come(
    clustered: Engine,
) -> None:
    assert cancelled(clustered, None) == "code_forged"
    assert cancelled(clustered, None) == "tombstoned"
    assert clustered.verify(scan(0))[:2] == ("refused", Outcome.CANCELLED)


def test_on_a_single_server_a_key_lies_in_one_place(engine: Engine) -> None:
    engine.verify(scan(0))
    assert len(marks(engine)) == 1
    assert engine.verify_unread(scan(0))[-1] is True
