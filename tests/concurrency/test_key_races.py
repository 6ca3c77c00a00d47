"""A request against its own repeat at a worker that cannot read the code: a ring of code keys that is a second older or
newer is enough for that. Both must be told the same, whoever comes first. With a control.

Two workers in this process, each with its own connection to the hot store of one stack.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import httpx2
import pytest

from redemption.hot.library import assemble
from tests.support.api.client import bill, fresh_key, points_leg
from tests.support.fuzzing.spoilt_codes import Codes, Till, Worker, codes_of, running_worker, tills_of
from tests.support.servers.stack import Stack, running_stack
from tokens.keyring import KeyRing

Call = Coroutine[Any, Any, httpx2.Response]
PAIRS = 40
KEPT = "remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, outcome, '-1', '-1', '-1', detail)"
KEPT_TOMBSTONE = "remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, '-', text(OUTCOME.CANCELLED))"


@dataclass(frozen=True)
class Two:
    """A worker that reads the codes, one that does not, and what a till needs."""

    reads: Worker
    cannot: Worker
    till: Till
    codes: Codes


@pytest.fixture(scope="module")
async def two() -> AsyncIterator[Two]:
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(running_stack(workers=1))
        reads = await opened.enter_async_context(running_worker(stack))
        cannot = await opened.enter_async_context(running_worker(stack))
        (till,) = await tills_of(reads, 1)
        await replace(till, worker=cannot).until_known()
        cannot.state.reader.use(KeyRing.create("other", "HS256"))
        codes = await codes_of(till, "jwt")
        codes.made = itertools.repeat(0)  # JWT codes of one slot are told apart by their nonces
        yield Two(reads, cannot, till, codes)


@asynccontextmanager
async def without(stack: Stack, guard: str) -> AsyncIterator[None]:
    """The stack's function library without this text, for the length of the block."""
    library = assemble().source
    assert library.count(guard) == 1, "the guard is written otherwise now"
    async with stack.hot() as hot:
        await hot.execute_command("FUNCTION", "LOAD", "REPLACE", library.replace(guard, ""))
        try:
            yield
        finally:
            await hot.execute_command("FUNCTION", "LOAD", "REPLACE", library)


_amounts = count(1_000)
"""No two baskets of this file are alike, in whatever order its tests run."""


async def raced(first: Call, second: Call, number: int) -> tuple[httpx2.Response, httpx2.Response]:
    """Both calls at once. From pair to pair the first, then the second, is some more turns of the loop ahead, so that
    either comes first, by a little and by much."""
    ahead, behind = (first, second) if number % 2 else (second, first)
    begun = asyncio.ensure_future(ahead)
    for _ in range(2 * number):
        await asyncio.sleep(0)
    later = await behind
    return (await begun, later) if number % 2 else (later, await begun)


async def scans_and_repeats(two: Two, seen: "Counter[str]") -> list[str]:
    """Sentences of pairs whose two answers contradict each other."""
    headers = {"authorization": f"Bearer {two.till.api_key}"}
    wrong = []
    for number in range(PAIRS):
        body = {"code": next(two.codes), "bill": bill(next(_amounts)), "legs": [points_leg(1)]}
        keyed = {**headers, "idempotency-key": fresh_key()}
        original, repeat = await raced(
            two.reads.http.post("/v1/verify", json=body, headers=keyed),
            two.cannot.http.post("/v1/verify", json=body, headers=keyed),
            number,
        )
        late = await two.reads.http.post("/v1/verify", json=body, headers=keyed)
        statuses = {original.status_code, repeat.status_code, late.status_code}
        seen[str(original.status_code)] += 1
        if statuses == {201} and original.content == repeat.content == late.content:
            continue
        codes = {each.json().get("code") for each in (original, repeat, late)}
        if statuses != {409} or codes != {"code_forged"}:
            wrong.append(f"{number}: {original.text} but {repeat.text} and late {late.text}")
    return wrong


async def scans_and_cancels(two: Two, seen: "Counter[str]") -> list[str]:
    """The same for a cancel at the worker that cannot read the code: nothing may stay applied behind it."""
    headers = {"authorization": f"Bearer {two.till.api_key}"}
    wrong = []
    for number in range(PAIRS):
        body = {"code": next(two.codes), "bill": bill(next(_amounts)), "legs": [points_leg(1)]}
        key = fresh_key()
        scan = two.reads.http.post("/v1/verify", json=body, headers={**headers, "idempotency-key": key})
        undo = two.cannot.http.post("/v1/cancel", json={"idempotency_key": key, "code": body["code"]}, headers=headers)
        original, cancelled = await raced(scan, undo, number)
        told = cancelled.json().get("effect") or cancelled.json()["code"]
        seen[told] += 1
        late = await two.reads.http.post("/v1/verify", json=body, headers={**headers, "idempotency-key": key})
        applied = original.status_code == 201
        if late.json().get("code") != "cancelled" or applied is not (told == "reversed"):
            wrong.append(f"{number}: {original.text}, then {told}, then {late.text}")
    return wrong


async def test_a_scan_and_its_repeat_at_a_worker_that_cannot_read_the_code_are_told_the_same(two: Two) -> None:
    seen: Counter[str] = Counter()
    assert await scans_and_repeats(two, seen) == []
    assert seen.keys() == {"201", "409"}, f"both orders came about: {seen}"


async def test_a_scan_and_its_cancel_at_a_worker_that_cannot_read_the_code_leave_nothing_applied(two: Two) -> None:
    seen: Counter[str] = Counter()
    assert await scans_and_cancels(two, seen) == []
    assert seen.keys() == {"reversed", "code_forged"}, f"both orders came about: {seen}"


async def test_control_without_the_kept_refusal_a_refused_key_applies_later(two: Two) -> None:
    async with without(two.reads.stack, KEPT):
        assert await scans_and_repeats(two, Counter()) != []


async def test_control_without_the_tombstone_a_cancelled_scan_stays_applied(two: Two) -> None:
    async with without(two.reads.stack, KEPT_TOMBSTONE):
        assert await scans_and_cancels(two, Counter()) != []
