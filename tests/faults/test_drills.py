"""A selection of the fault drills (`make drills` runs all), and that their judge finds what is wrong.

Each prints its seed where it fails: `python -m tests.drills --only NAME --seed N` replays it.
"""

import random
from collections.abc import Callable

import pytest

from tests.drills.drill import Drill
from tests.drills.faults.disks import PowerCut
from tests.drills.faults.network import RepliesDropped
from tests.drills.faults.restarts import RollingRestart
from tests.drills.history import histories, statuses
from tests.drills.journal import Record, read_journal
from tests.drills.oracle import Books, judge
from tests.drills.rest import until_at_rest
from tests.drills.stack import DrilledStack
from tests.drills.tills import World

pytestmark = pytest.mark.alone

TILLS = 4
SECONDS = 240  # about 20 on a quiet machine; each wait inside has a bound of its own


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("drill", [RepliesDropped, PowerCut, RollingRestart], ids=lambda drill: drill.name)
async def test_a_drill_leaves_every_invariant_true(drill: type[Drill]) -> None:
    result = await drill(random.SystemRandom().randrange(1_000_000), tills=TILLS).run()
    assert not result.not_run, result.line()
    assert result.passed, "\n".join([result.line(), *result.wrong])
    assert result.acknowledged > 100, result.line()


def _lose_an_answer(record: Record) -> None:
    """An acknowledged redemption that the ledger does not know."""
    entry = next(entry for entry in record.of_kind("verify") if entry.outcome == "applied")
    for answer in entry.answers:
        answer.body = answer.body | {"redemption_id": "rdm_000000000000000000"}


def _refuse_what_was_taken(record: Record) -> None:
    entry = next(entry for entry in record.of_kind("verify") if entry.outcome == "applied")
    for answer in entry.answers:
        answer.status, answer.body = 409, {"code": "points_insufficient", "outcome": "not_applied"}


def _take_other_amounts(record: Record) -> None:
    """Of a redemption that still stands: what was wholly given back says nothing of amounts any more."""
    standing = {subject for subject, history in histories(record).items() if statuses(history) == {"captured"}}
    entry = next(entry for entry in record.of_kind("verify") if entry.settled and entry.settled.subject in standing)
    assert entry.intent.takes
    entry.intent.takes = {asset: amount + 1 for asset, amount in entry.intent.takes.items()}


def _forget_an_intent(record: Record) -> None:
    number = next(entry.intent.n for entry in record.of_kind("accrue") if entry.outcome == "applied")
    del record.entries[number]


def _use_a_code_twice(record: Record) -> None:
    one, other = [entry for entry in record.of_kind("verify") if entry.outcome == "applied"][:2]
    one.intent.code = other.intent.code


def _know_nothing(record: Record) -> None:
    next(entry for entry in record.of_kind("verify") if entry.outcome == "applied").answers.clear()


def _answer_otherwise(record: Record) -> None:
    entry = next(entry for entry in record.of_kind("verify") if entry.outcome == "applied")
    told = entry.settled  # not the last answer: that may be the refusal of a late repeat after a cancel
    assert told is not None
    entry.answers.append(type(told)(told.status, told.body, "another digest", True))


def _apply_what_was_refused(record: Record) -> None:
    entry = next(entry for entry in record.of_kind("verify") if entry.outcome == "refused")
    entry.answers.append(type(entry.answers[0])(201, {"redemption_id": "rdm_late"}, "", False))


SPOILT: dict[str, list[Callable[[Record], None]]] = {
    "I3": [_lose_an_answer, _take_other_amounts],
    "I4": [_refuse_what_was_taken, _forget_an_intent],
    "I5": [_know_nothing, _answer_otherwise],
    "I11": [_use_a_code_twice],
    "I12": [_apply_what_was_refused],
}
"""Journals that do not fit the books, by the invariant that the judge has to name."""


class Calm(Drill):
    """Nothing happens to the stack. Afterwards journal, books and hot store are spoilt one after another."""

    name, fault = "calm", "nothing happens"

    async def strike(self, stack: DrilledStack, world: World) -> None:
        world.over()

    async def afterwards(self, stack: DrilledStack, world: World) -> list[str]:
        async with stack.hot() as hot, stack.ledger() as ledger:
            await until_at_rest(hot, ledger)
            for invariant, spoils in SPOILT.items():
                for spoil in spoils:
                    record = read_journal(world.journal.path)
                    spoil(record)
                    found = await judge(Books(record, hot, ledger, stack.seal_key(), {}))
                    assert any(s.startswith(f"{invariant}:") for s in found), f"{spoil.__name__}: {found}"
            record = read_journal(world.journal.path)
            wrong_head = {world.members[0].bucket: (1, b"another head")}
            found = await judge(Books(record, hot, ledger, stack.seal_key(), wrong_head))
            assert [s.partition(":")[0] for s in found] == ["I10"]
            lots = f"{{b{world.members[0].bucket}}}:lots:{world.members[0].member_id}"
            (lot, amount), *_ = (await hot.hgetall(lots)).items()
            await hot.hset(lots, lot, int(amount) - 1)
            found = await judge(Books(record, hot, ledger, stack.seal_key(), {}))
            assert [s.partition(":")[0] for s in found] == ["I8"]
            await hot.hset(lots, lot, amount)
        return []


@pytest.mark.timeout(SECONDS)
async def test_the_judge_of_the_drills_finds_what_is_wrong() -> None:
    result = await Calm(random.SystemRandom().randrange(1_000_000), tills=TILLS).run()
    assert result.passed, "\n".join([result.line(), *result.wrong])
