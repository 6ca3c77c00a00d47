"""How often anybody may call, over HTTP: rates of terminal, outlet and member, and guesses of digits on every path."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from gateway.administration.keys import create_key
from redemption.domain.limits import GUESSES_PER_OUTLET, GUESSES_PER_TERMINAL, RATE_WINDOW_SECONDS
from tests.support.api.client import TongClient, client_of, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import DINNER, Environment, open_environment, points
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Member, Stack, Terminal, running_stack
from tests.support.suite.waiting import wait_until

TERMINAL_RATE, OUTLET_RATE, MEMBER_RATE = 5, 8, 3
POLICY = {"terminal_rate": TERMINAL_RATE, "outlet_rate": OUTLET_RATE, "member_rate": MEMBER_RATE}
ROOM_SECONDS = 4
"""What is left of a window when a test begins that must end within it."""


@pytest.fixture(scope="module")
async def slow() -> AsyncIterator[Environment]:
    """An environment whose policy allows very few calls."""
    async with running_stack(workers=2) as stack, client_of(stack) as tong:
        yield await open_environment(stack, tong, policy=POLICY, businesses=("eng-shop", "eng-other", "eng-strict"))


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


async def early_in_a_window() -> None:
    await wait_until(
        "a window begins",
        lambda: time.time() % RATE_WINDOW_SECONDS < RATE_WINDOW_SECONDS - ROOM_SECONDS,
        seconds=RATE_WINDOW_SECONDS,
    )


async def next_window() -> None:
    window = time.time() // RATE_WINDOW_SECONDS
    await wait_until("the next window begins", lambda: time.time() // RATE_WINDOW_SECONDS > window, seconds=11)


async def check(
    environment: Environment, member: Member, terminal: Terminal, key: str | None = None
) -> httpx2.Response:
    return await environment.call(
        "/v1/verify", {"code": environment.code(member)}, key or fresh_key(), terminal=terminal
    )


def left(answer: httpx2.Response) -> int:
    """What the RateLimit header says is left."""
    name, remaining, reset = answer.headers["ratelimit"].split(";")
    assert name == '"terminal"'
    assert 1 <= int(reset.removeprefix("t=")) <= RATE_WINDOW_SECONDS
    assert answer.headers["ratelimit-policy"] == f'"terminal";q={TERMINAL_RATE};w={RATE_WINDOW_SECONDS}'
    return int(remaining.removeprefix("r="))


def limited(answer: httpx2.Response) -> str:
    """Whose rate was exceeded."""
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (429, "rate_limited"), answer.text
    assert (document["outcome"], document["retry"]) == ("not_applied", "same_key")
    return str(document["scope"])


async def test_terminal_and_outlet_are_limited_and_the_same_key_works_in_the_next_window(slow: Environment) -> None:
    members = await slow.members(12)
    key = await create_key(slow.stack.settings, "trm_eng-shop_2", ())
    second = Terminal("eng-shop", "out_eng-shop", "trm_eng-shop_2", key)

    async def known(http: httpx2.AsyncClient) -> bool:
        answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {second.api_key}"})
        return answer.status_code in {404, 429}

    await slow.stack.until_every_worker("knows the second key", known)
    await next_window()  # asking for the key was counted too
    used = fresh_key()
    first = await check(slow, members[0], slow.shop, used)
    answers = [first] + [await check(slow, members[n], slow.shop) for n in range(1, TERMINAL_RATE)]
    assert [answer.status_code for answer in answers] == [201] * TERMINAL_RATE
    assert [left(answer) for answer in answers] == list(range(TERMINAL_RATE - 1, -1, -1))
    body, key = slow.basket(members[5], points(100)), fresh_key()
    async with nothing_changes(slow.stack, members[5]):
        refused = await slow.call("/v1/verify", body, key)
    assert limited(refused) == "terminal"
    assert left(refused) == 0
    reset = int(refused.headers["ratelimit"].rpartition("t=")[2])
    assert int(refused.headers["retry-after"]) == reset
    assert limited(await check(slow, members[6], slow.shop, used)) == "terminal", "goes before a key that was used"
    assert (await check(slow, members[7], second)).status_code == 201, "another terminal of the outlet"
    assert limited(await check(slow, members[8], second)) == "outlet"
    assert (await check(slow, members[9], slow.other)).status_code == 201, "another outlet"
    await next_window()
    answer = await slow.call("/v1/verify", body, key)
    assert answer.status_code == 201, answer.text
    assert "idempotency-replayed" not in answer.headers


async def test_a_member_is_limited_over_all_businesses(slow: Environment) -> None:
    member, other = await slow.members(2)
    await early_in_a_window()
    where = [slow.terminals["eng-strict"], slow.other, slow.terminals["eng-strict"]]
    assert [(await check(slow, member, each)).status_code for each in where] == [201] * MEMBER_RATE
    async with nothing_changes(slow.stack, member):
        assert limited(await check(slow, member, slow.other)) == "member"
    assert (await check(slow, other, slow.other)).status_code == 201


async def test_steps_that_are_refused_before_the_function_are_counted_too(slow: Environment) -> None:
    (member,) = await slow.members(1)
    await next_window()
    held = await slow.held(member, points(100))
    small = {**DINNER, "amount_minor": 1, "lines": []}
    refusals = [
        (f"/v1/redemptions/{held['redemption_id']}/capture", {"bill": small}, "exceeds_bill"),
        ("/v1/redemptions/none/refund", {}, "not_found"),
        ("/v1/accruals/none/reverse", {}, "not_found"),
        ("/v1/cancel", {"redemption_id": "none"}, "not_found"),
    ]
    for path, body, code in refusals:
        assert (await slow.call(path, body)).json()["code"] == code
    for path, body, _ in refusals:
        assert limited(await slow.call(path, body)) == "terminal"


PATHS: dict[str, Callable[[str], dict[str, Any]]] = {
    "verify": lambda code: {"code": code},
    "prepare": lambda code: {"code": code},
    "accruals": lambda code: {"code": code, "bill": {**DINNER, "reference": fresh_key()}},
    "cancel": lambda code: {"code": code, "idempotency_key": fresh_key()},
}


@pytest.mark.parametrize("path", PATHS)
async def test_guessing_of_digits_ends_on_every_path_and_genuine_ones_are_not_told_apart(
    environment: Environment, path: str
) -> None:
    terminal, member = environment.terminals[f"eng-guess-{path}"], await environment.member()

    async def tell(code: str) -> httpx2.Response:
        return await environment.call(f"/v1/{path}", PATHS[path](code), fresh_key(), terminal=terminal)

    assert (await tell(environment.digits(member))).status_code in {200, 201}
    for _ in range(GUESSES_PER_TERMINAL):
        assert problem_of(await tell(environment.guess()))["code"] == "code_forged"
    async with nothing_changes(environment.stack, member):
        for code in (environment.guess(), environment.digits(member), environment.guess()):
            answer = await tell(code)
            assert limited(answer).endswith("guesses of digits")
            assert int(answer.headers["retry-after"]) >= 1
    other = await environment.member()
    assert (await tell(environment.code(other))).status_code in {200, 201}, "a JWT code cannot be guessed"


async def test_guesses_of_one_terminal_count_for_the_whole_outlet(environment: Environment) -> None:
    member = await environment.member()
    first = environment.terminals["eng-changing"]
    key = await create_key(environment.stack.settings, "trm_eng-changing_2", ())
    second = Terminal(first.business, first.outlet, "trm_eng-changing_2", key)

    async def known(http: httpx2.AsyncClient) -> bool:
        answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {key}"})
        return bool(answer.status_code == 404)

    await environment.stack.until_every_worker("knows the second key", known)
    genuine = {"code": environment.digits(member)}
    assert (await environment.call("/v1/verify", genuine, fresh_key(), terminal=second)).status_code == 201
    for _ in range(GUESSES_PER_OUTLET):
        await environment.call("/v1/verify", {"code": environment.guess()}, fresh_key(), terminal=first)
    answer = await environment.call("/v1/verify", {"code": environment.guess()}, fresh_key(), terminal=second)
    assert limited(answer).endswith("guesses of digits")
