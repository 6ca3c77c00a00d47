"""Races of the redemption engine: through HTTP over two workers, and each again with its guard taken out.

What must hold is said once, as checks that answer with sentences. On the stack they find nothing; on the side without
the guard (tests/support/engine/sides.py) they must find something, or the check is worth nothing.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.engine.http import Holdings, clients_of_each_worker, open_environment, unbalanced
from tests.support.engine.sides import CAPPED, POINTS, Ended, OverHttp, Side, without
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until

PAIRS = 40
USES = 500


@pytest.fixture(scope="module")
async def http(stack: Stack, tong: TongClient) -> AsyncIterator[OverHttp]:
    environment = await open_environment(stack, tong, businesses=("eng-shop",))
    async with clients_of_each_worker(stack) as tills:
        yield OverHttp(environment, tills)


async def balanced(http: OverHttp, subjects: Sequence[int]) -> None:
    """The raw lots against the postings of the drained ledger."""
    assert await unbalanced(http.environment, *(http.members[subject] for subject in subjects)) == []


def points_in(lots: Holdings) -> int:
    return sum(amount for name, amount in lots.items() if name.startswith("points/"))


async def value_of(side: Side, subject: int, kept: int) -> list[str]:
    """What differs from: `kept` points are gone, the rest is available, nothing is held or below nothing."""
    lots, held = await side.lots(subject), await side.held(subject)
    wrong = [f"{subject}: lot {name} is {amount}" for name, amount in lots.items() if amount < 0]
    if points_in(lots) != POINTS - kept:
        wrong.append(f"{subject}: {points_in(lots)} points available, not {POINTS - kept}")
    return wrong + ([f"{subject}: {held} points held"] if held else [])


async def held_by(side: Side, subject: int, *, points: int = POINTS, hold_seconds: int = 600) -> str:
    ended = await side.scan(
        subject, subject, side.claim(subject), fresh_key(), points=points, hold_seconds=hold_seconds
    )
    assert ended.ok, ended
    return ended.subject


async def taken_from(side: Side, subject: int, points: int = POINTS) -> str:
    ended = await side.scan(subject, subject, side.claim(subject), fresh_key(), points=points)
    assert ended.ok, ended
    return ended.subject


# Capture against void against expiry.


async def capture_void_expiry(
    side: Side, subjects: Sequence[int], seen: "Counter[str]", *, expiring: bool
) -> list[str]:
    async def race(subject: int) -> list[str]:
        redemption = await held_by(side, subject, hold_seconds=1 if expiring else 600)
        if expiring:
            end = time.time() + 1 + random.uniform(-0.06, 0.02)
            await wait_until("the hold is about to expire", lambda: time.time() >= end)
        calls = [side.step(till, ("capture", "void")[till % 2], redemption) for till in range(4)]
        random.shuffle(calls)
        answers = await asyncio.gather(*calls)
        if expiring:
            await wait_until("the hold's time has run out", lambda: time.time() > end + 0.1)
            await side.sweep(subject)
        seen.update([next((answer.name for answer in answers if answer.ok), "expiry")])
        return await one_end(side, subject, answers)

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


async def one_end(side: Side, subject: int, answers: Sequence[Ended]) -> list[str]:
    """Exactly one of capture, void and expiry, and the losers were told which."""
    ends = [answer.name for answer in answers if answer.ok]
    told = {answer.code for answer in answers if not answer.ok}
    if not ends:
        expected, kept = {"hold_expired"}, 0
    elif ends == ["capture"]:
        expected, kept = {"already_captured"}, POINTS
    elif ends == ["void"]:
        expected, kept = {"already_voided"}, 0
    else:
        return [f"{subject}: {ends} all succeeded"]
    wrong = [] if told == expected else [f"{subject}: {ends}, and the others were told {told}"]
    return wrong + await value_of(side, subject, kept)


ENDED_GUARD = "if ended then return refuse_step(idempotency, call_id, fingerprint, ended) end"


async def test_a_hold_has_one_end_of_capture_void_and_expiry(http: OverHttp) -> None:
    seen: Counter[str] = Counter()
    for expiring in (True, False):
        subjects = await http.subjects(PAIRS)
        assert await capture_void_expiry(http, subjects, seen, expiring=expiring) == []
        await balanced(http, subjects)
    assert set(seen) == {"capture", "void", "expiry"}, f"not every end was seen: {seen}"


async def test_control_without_the_terminal_state_check_a_hold_ends_twice() -> None:
    async with without(("capture", ENDED_GUARD, ""), ("void", ENDED_GUARD, "")) as side:
        assert await capture_void_expiry(side, await side.subjects(3), Counter(), expiring=False) != []


async def test_control_a_sweeper_that_looks_at_no_state_expires_what_was_captured() -> None:
    async with without(
        ("capture", "call('ZREM', holds, record.id)", ""),
        ("sweep", "record.status == 'held'", "true"),
    ) as side:
        seen: Counter[str] = Counter()
        found: list[str] = []
        while not seen["capture"]:
            found += await capture_void_expiry(side, await side.subjects(4), seen, expiring=True)
        assert found != []


# Two partial captures; two refunds.


async def partial_captures(side: Side, subjects: Sequence[int]) -> list[str]:
    async def race(subject: int) -> list[str]:
        redemption = await held_by(side, subject)
        amounts = [400, 700]
        answers = await asyncio.gather(
            *(side.step(till, "capture", redemption, amount) for till, amount in enumerate(amounts))
        )
        kept = [amount for amount, answer in zip(amounts, answers, strict=True) if answer.ok]
        if len(kept) != 1 or {answer.code for answer in answers} != {"ok", "already_captured"}:
            return [f"{subject}: captured {kept}, told {[answer.code for answer in answers]}"]
        return await value_of(side, subject, kept[0])

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


async def test_of_two_partial_captures_one_applies(http: OverHttp) -> None:
    subjects = await http.subjects(PAIRS)
    assert await partial_captures(http, subjects) == []
    await balanced(http, subjects)


async def test_control_without_the_terminal_state_check_two_captures_apply() -> None:
    async with without(("capture", ENDED_GUARD, "")) as side:
        assert await partial_captures(side, await side.subjects(3)) != []


async def refunds(side: Side, subjects: Sequence[int], amounts: Sequence[int]) -> list[str]:
    """Refunds at once that together are more than was taken: never more than that comes back."""

    async def race(subject: int) -> list[str]:
        redemption = await taken_from(side, subject)
        answers = await asyncio.gather(
            *(side.step(till, "refund", redemption, amount) for till, amount in enumerate(amounts))
        )
        back = sum(amount for amount, answer in zip(amounts, answers, strict=True) if answer.ok)
        told = {answer.code for answer in answers if not answer.ok}
        wrong = [] if back <= POINTS else [f"{subject}: {back} of {POINTS} refunded"]
        if not told or not told <= {"exceeds_redemption", "already_refunded"}:
            wrong.append(f"{subject}: told {told}")
        return wrong + await value_of(side, subject, POINTS - back)

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


async def test_refunds_at_once_never_give_back_more_than_was_taken(http: OverHttp) -> None:
    for amounts in ([600, 600], [100] * 15, [POINTS, 1, POINTS]):
        subjects = await http.subjects(PAIRS // 2)
        assert await refunds(http, subjects, amounts) == []
        await balanced(http, subjects)


REFUNDABLE = "part.refund = part.captured - part.refunded"


async def test_control_without_what_was_refunded_before_more_comes_back_than_was_taken() -> None:
    async with without(("refund", REFUNDABLE, "part.refund = part.captured")) as side:
        assert await refunds(side, await side.subjects(3), [600, 600]) != []


# Refund against cancel.


async def refund_or_cancel(side: Side, subjects: Sequence[int]) -> list[str]:
    """Both give back; together they give back everything once."""

    async def race(subject: int) -> list[str]:
        redemption = await taken_from(side, subject)
        calls = [side.step(0, "refund", redemption, 300), side.cancel_id(1, redemption)]
        if subject % 2:
            calls.reverse()
        by_name = {answer.name: answer for answer in await asyncio.gather(*calls)}
        wrong = [] if by_name["cancel"].ok else [f"{subject}: cancel was told {by_name['cancel'].code}"]
        if by_name["refund"].code not in {"ok", "cancelled"}:
            wrong.append(f"{subject}: refund was told {by_name['refund'].code}")
        return wrong + await value_of(side, subject, 0)

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


async def test_refund_and_cancel_together_give_back_everything_once(http: OverHttp) -> None:
    subjects = await http.subjects(PAIRS)
    assert await refund_or_cancel(http, subjects) == []
    await balanced(http, subjects)


async def test_control_a_cancel_that_forgets_refunds_gives_back_twice() -> None:
    async with without(("cancel", REFUNDABLE, "part.refund = part.captured")) as side:
        assert await refund_or_cancel(side, await side.subjects(4)) != []


# Cancel before verify arrives.


async def cancel_or_verify(side: Side, subjects: Sequence[int], seen: "Counter[str]") -> list[str]:
    """Never applied and tombstoned together; whichever comes first, nothing stays applied and nothing applies later."""

    async def race(subject: int) -> list[str]:
        claim, key = side.claim(subject), fresh_key()
        calls: list[Any] = [
            side.scan(0, subject, claim, key, points=POINTS),
            side.cancel(1, subject, claim, key),
        ]
        if subject % 2:
            calls.reverse()
        by_name = {answer.name: answer for answer in await asyncio.gather(*calls)}
        scan, cancel = by_name["scan"], by_name["cancel"]
        found = (scan.code, cancel.subject)
        seen[cancel.subject] += 1
        wrong = [] if found in {("ok", "reversed"), ("cancelled", "tombstoned")} else [f"{subject}: {found}"]
        late = await side.scan(1, subject, claim, key, points=POINTS)
        if late.code != "cancelled":
            wrong.append(f"{subject}: a late repeat was told {late.code}")
        return wrong + await value_of(side, subject, 0)

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


async def test_a_key_is_never_applied_and_tombstoned_together(http: OverHttp) -> None:
    seen: Counter[str] = Counter()
    for _ in range(4):
        subjects = await http.subjects(PAIRS)
        assert await cancel_or_verify(http, subjects, seen) == []
        await balanced(http, subjects)
    assert set(seen) == {"reversed", "tombstoned"}, f"only one order was seen: {seen}"


async def test_control_without_the_tombstone_a_cancelled_key_applies_later() -> None:
    tombstone = "remember(idempotency, text(lasts), '-', text(OUTCOME.CANCELLED))"
    async with without(("prelude", tombstone, "")) as side:
        assert await cancel_or_verify(side, await side.subjects(4), Counter()) != []


# Last use of a benefit.


async def last_use(side: Side, subject: int) -> list[str]:
    answers = await asyncio.gather(
        *(
            side.scan(till, subject, side.claim(subject), fresh_key(), benefit=CAPPED, amount=1_000 + till)
            for till in range(USES)
        )
    )
    found = Counter(answer.code for answer in answers)
    return [] if found == {"ok": 1, "benefit_exhausted": USES - 1} else [f"{dict(found)}"]


@pytest.mark.parametrize("uses", [1, USES], ids=["of the lots", "of the day"])
async def test_the_last_use_of_a_benefit_is_taken_once_by_five_hundred(http: OverHttp, uses: int) -> None:
    (subject,) = await http.subjects(1, points=0, uses=uses)
    assert await last_use(http, subject) == []
    assert sum((await http.lots(subject)).values()) == uses - 1
    await balanced(http, [subject])


async def test_control_without_the_count_of_uses_the_cap_of_a_day_does_not_hold() -> None:
    guard = "or cap - count - (used_here[benefit_id] or 0)"
    async with without(("redeem", guard, "or cap - (used_here[benefit_id] or 0)")) as side:
        (subject,) = await side.subjects(1, points=0, uses=USES)
        assert await last_use(side, subject) != []


async def test_control_without_the_sum_of_the_lots_more_uses_are_taken_than_there_are() -> None:
    amount = "flat[i], integer(flat[i + 1])"
    keeping = ("prelude", "call('HDEL', lots, asset .. '/' .. lot)", "")
    counting = ("redeem", "within(month_uses, id .. day_suffix, word[4], id)", "LIMIT.SAFE_INTEGER_MAX")
    async with without(("prelude", amount, amount + " + 1000000"), keeping, counting) as side:
        (subject,) = await side.subjects(1, points=0, uses=1)
        assert await last_use(side, subject) == [f"{ {'ok': USES} }"]


# Accrual reversal against spend.


async def reversal_or_spend(side: Side, subjects: Sequence[int]) -> list[str]:
    """What was earned is either taken back or owed, whatever was spent meanwhile; no balance falls below nothing."""

    async def race(subject: int) -> list[str]:
        earned = await side.accrue(subject)
        spends = [side.scan(till, subject, side.claim(subject), fresh_key(), points=300 + till) for till in range(2)]
        calls: list[Any] = [*spends, side.reverse(1, earned.subject), side.reverse(0, earned.subject)]
        if subject % 2:
            calls.reverse()
        answers = await asyncio.gather(*calls)
        reversals = [answer for answer in answers if answer.name == "reverse"]
        if sorted(answer.code for answer in reversals) != ["already_refunded", "ok"]:
            return [f"{subject}: reversals were told {[answer.code for answer in reversals]}"]
        told = next(answer.told for answer in reversals if answer.ok)
        spent = sum(
            points
            for answer, points in zip(answers, _points_of(subject), strict=True)
            if answer.name == "scan" and answer.ok
        )
        lots = await side.lots(subject)
        wrong = [f"{subject}: lot {name} is {amount}" for name, amount in lots.items() if amount < 0]
        if told["points_taken_back"] + told["points_owed"] != POINTS:
            wrong.append(f"{subject}: {told} of {POINTS}")
        if points_in(lots) != POINTS - spent - told["points_taken_back"]:
            wrong.append(f"{subject}: {points_in(lots)} left, {spent} spent, {told}")
        return wrong

    return [sentence for found in await asyncio.gather(*map(race, subjects)) for sentence in found]


def _points_of(subject: int) -> list[int]:
    order = [300, 301, 0, 0]
    return order[::-1] if subject % 2 else order


async def test_a_reversed_accrual_is_taken_back_or_owed_and_never_below_nothing(http: OverHttp) -> None:
    subjects = await http.subjects(PAIRS, points=0)
    assert await reversal_or_spend(http, subjects) == []
    await balanced(http, subjects)


async def test_control_a_reversal_that_takes_all_back_makes_balances_negative() -> None:
    async with without(("reverse_accrual", "local back = math.min(points, left)", "local back = points")) as side:
        assert await reversal_or_spend(side, await side.subjects(6, points=0)) != []


async def test_the_checks_find_nothing_in_process_with_every_guard_in_place() -> None:
    async with without() as side:
        assert await capture_void_expiry(side, await side.subjects(3), Counter(), expiring=False) == []
        assert await capture_void_expiry(side, await side.subjects(3), Counter(), expiring=True) == []
        assert await partial_captures(side, await side.subjects(3)) == []
        assert await refunds(side, await side.subjects(3), [600, 600]) == []
        assert await refund_or_cancel(side, await side.subjects(4)) == []
        assert await cancel_or_verify(side, await side.subjects(4), Counter()) == []
        (subject,) = await side.subjects(1, points=0, uses=USES)
        assert await last_use(side, subject) == []
        assert await reversal_or_spend(side, await side.subjects(6, points=0)) == []
