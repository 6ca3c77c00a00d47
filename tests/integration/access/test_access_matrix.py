"""Every path by every kind of caller: what is another's is not there, what is not one's to do is refused.

The table is tests/support/api/access_matrix.py; every cell of it is asked on a real stack. Calls that are refused
change nothing, and no answer to somebody else names what belongs to the business.
"""

import asyncio

import pytest

from gateway.hot_path.verify import VerifyEndpoint
from gateway.server.routes import routes
from redemption.domain.limits import SETTLEMENT_TRANSFERS_MAX
from tests.support.api.access_matrix import CALLERS, OTHER, OWN, ROWS, Caller, Row, Verdict, verdicts
from tests.support.api.access_world import REFERENCE, World, made_world
from tests.support.api.client import TongClient
from tests.support.engine.untouched import nothing_changes
from tests.support.servers.stack import Stack

REFUSED_IN_HAND, ANSWERED_IN_HAND = 6, SETTLEMENT_TRANSFERS_MAX
"""Calls at once. What is answered may be a file, of which a worker makes so many at once."""
Cell = tuple[Row, Caller]
CELLS: list[Cell] = [(row, caller) for row in ROWS for caller in CALLERS]
REFUSED = {401, 403, 404}


@pytest.fixture(scope="module")
async def world(stack: Stack, tong: TongClient) -> World:
    return await made_world(stack, tong)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    there = {
        (method, route.path)
        for route in routes(VerifyEndpoint.__new__(VerifyEndpoint))
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(row.method, row.path) for row in ROWS} == there


def is_refused(cell: Cell) -> bool:
    row, caller = cell
    return "nobody" not in row.of and all(status in REFUSED for status, _ in verdicts(row, caller))


async def asked(world: World, cells: list[Cell], in_hand: int = ANSWERED_IN_HAND) -> list[str]:
    """What of these cells is not as it must be, a line each."""
    seats = asyncio.Semaphore(in_hand)
    told_to_others = (OWN, REFERENCE, *_ids(world))

    async def ask(cell: Cell) -> str | None:
        row, caller = cell
        wanted = verdicts(row, caller)
        async with seats:
            found, text = await world.ask(row, caller)
        if found not in wanted:
            return f"{row.name:95} {caller.name:32} {_told(*wanted):24} but {_told(found)}"
        stranger = caller.business == OTHER or caller.name == "member other" or caller.refused is not None
        if stranger and "nobody" not in row.of:
            named = [word for word in told_to_others if word in text]
            if named:
                return f"{row.name:95} {caller.name:32} is told of {', '.join(named)}"
        return None

    return [line for line in await asyncio.gather(*(ask(cell) for cell in cells)) if line is not None]


def _ids(world: World) -> list[str]:
    names = (
        "captured",
        "to_cancel",
        "to_refund",
        "to_capture",
        "to_void",
        "accrual_id",
        "line_id",
        "dispute_id",
        "reconciliation_id",
        "device_id",
    )
    return [str(world.objects[name]) for name in names]


def _told(*verdicts: Verdict) -> str:
    return " or ".join(f"{status} {code}".strip() for status, code in verdicts)


async def test_every_cell_is_answered_as_the_table_says_and_refusals_change_nothing(world: World) -> None:
    refused = [cell for cell in CELLS if is_refused(cell)]
    before = await world.stored()
    async with nothing_changes(world.stack, world.member, world.other_member):
        wrong = await asked(world, refused, REFUSED_IN_HAND)
    assert not wrong, "\n" + "\n".join(wrong)
    assert await world.stored() == before

    answered = [cell for cell in CELLS if not is_refused(cell)]
    # In the table's order, row by row: some end what they are about.
    for row in ROWS:
        wrong += await asked(world, [cell for cell in answered if cell[0] is row])
    assert not wrong, "\n" + "\n".join(wrong)
    assert len(refused) + len(answered) == len(ROWS) * len(CALLERS)


async def test_a_cell_that_is_answered_otherwise_is_found(world: World) -> None:
    """The control: with another business's key as the business's own, the table does not hold."""
    row = next(row for row in ROWS if row.path == "/v1/redemptions/{redemption_id}")
    caller = next(caller for caller in CALLERS if caller.name == "terminal other")
    world.credentials[caller.name], kept = world.credentials["terminal own"], world.credentials[caller.name]
    try:
        (line,) = await asked(world, [(row, caller)])
    finally:
        world.credentials[caller.name] = kept
    assert "404 not_found" in line
    assert "but 200" in line
