"""Counts of calls at the edge: who calls, and `rate_limited` where that is one call too many.

What runs a function of the hot store anyway (verify, prepare, steps, cancel, accruals, codes) is counted inside it;
every other call that writes or tells is counted here (redemption/call_rates.py). A call without a good credential is
not counted: it is refused from memory. tests/support/api/access_matrix.py says for each route which count applies.
"""

from starlette.requests import Request
from starlette.types import Scope

from gateway.api.state import State
from gateway.auth.authentication import authenticate_member
from gateway.problems.documents import refused
from redemption.configuration.directory import Terminal
from redemption.domain.outcomes import Refusal


async def looking_terminal(request: Request, *, body: bytes = b"") -> Terminal:
    """The terminal of a look-up, with a key of any scope. Raises what authentication raises, and `rate_limited`."""
    state: State = request.app.state.tong
    scope: Scope = request.scope
    terminal = state.authenticator.terminal(request.headers.get("authorization"), (), scope, body)
    _refuse(await state.rates.terminal(terminal))
    return terminal


async def calling_member(request: Request) -> int:
    """The number of the member whose app calls. Raises what authentication raises, and `rate_limited`."""
    state: State = request.app.state.tong
    number = await authenticate_member(request.headers.get("authorization"), state.members)
    await count_member(state, number)
    return number


async def count_member(state: State, number: int) -> None:
    """Counts a call of a member's app. Raises `rate_limited`."""
    _refuse(await state.rates.member(number))


async def count_office(state: State, key_id: str) -> None:
    """Counts a call with a key of the back office. Raises `rate_limited`."""
    _refuse(await state.rates.office(key_id))


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refused(refusal)
