"""The column of rates of the access matrix: every call that writes or tells is refused once its count is used up, and
says so; every other route says why it has none.

The stack is one of its own, whose group allows very few calls once the objects of the matrix are made.
"""

from collections.abc import AsyncIterator

import httpx2
import pytest

from redemption.domain.limits import RATE_WINDOW_SECONDS
from tests.support.api.access_matrix import CALLERS, OWN, ROWS, Caller, Row
from tests.support.api.access_world import World, made_world
from tests.support.api.client import client_of
from tests.support.servers.stack import demo_group, running_stack

MOST = 2
"""Calls of a window."""
TRIES = 3 * MOST + 1
"""So many calls one after the other cannot all be within their windows, unless two of these end meanwhile."""
RATES = dict.fromkeys(("terminal_rate", "member_rate", "office_rate"), MOST)
LIMITED = [(row, scope) for row in ROWS for scope in row.limited_by]


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with running_stack(workers=1) as stack, client_of(stack) as tong:
        made = await made_world(stack, tong)
        await stack.load_document(demo_group() | {"policy": RATES})
        member = {"authorization": f"Bearer {made.member.access_token}"}

        async def few(http: httpx2.AsyncClient) -> bool:
            answers = [await http.get("/v1/me", headers=member) for _ in range(MOST + 1)]
            return any(answer.headers.get("ratelimit-policy", "").endswith(f"q={MOST};w=10") for answer in answers)

        await stack.until_every_worker("allows few calls", few)
        yield made


def test_every_row_is_limited_or_says_why_not() -> None:
    for row in ROWS:
        assert bool(row.limited_by) != bool(row.unlimited), row.name
        assert set(row.limited_by) <= {"terminal", "member", "key"}, row.name
        if row.method != "GET":
            assert row.limited_by, f"{row.name} writes"
        if row.of != ("nobody",):
            assert row.limited_by, f"{row.name} is answered to some and not to others, so it tells something"


def caller_of(row: Row, scope: str) -> Caller:
    """A caller who may make the call, of the kind whose count it is."""
    whose = {"terminal": "terminal", "member": "member", "key": "back office"}[scope]
    return next(
        each
        for each in CALLERS
        if each.whose == whose
        and each.refused is None
        and not each.signs
        and each.business in (OWN, "own", None)
        and (whose != "back office" or not row.needs or set(row.needs) <= each.may)
    )


@pytest.mark.parametrize(("row", "scope"), LIMITED, ids=lambda value: value.name if isinstance(value, Row) else value)
async def test_a_call_beyond_its_rate_is_refused_and_says_whose_rate_it_is(world: World, row: Row, scope: str) -> None:
    caller = caller_of(row, scope)
    answers = []
    for _ in range(TRIES):
        verdict, text = await world.ask(row, caller)
        if verdict == (429, "rate_limited"):
            headers = world.last_headers
            assert f'"scope":"{scope}"' in text
            assert 1 <= int(headers["retry-after"]) <= RATE_WINDOW_SECONDS
            if row.path != "/v1/verify":  # there they tell of the terminal's whole count
                assert headers["ratelimit-policy"] == f'"{scope}";q={MOST};w={RATE_WINDOW_SECONDS}'
                assert headers["ratelimit"].startswith(f'"{scope}";r=0;t=')
            return
        answers.append(verdict)
    pytest.fail(f"{row.name} as {caller.name} was never refused: {answers}")
