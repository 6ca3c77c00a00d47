"""Authentication of callers as the operation demands it, and counts of calls at the edge.

Calls that run a function of the hot store (verify, prepare, steps, cancel, accruals, codes) are counted inside it;
every other call that writes or reads is counted here (redemption/call_rates.py). A call without a good credential is
not counted: it is refused from memory. tests/support/api/access_matrix.py says for each route which count applies.
"""

from starlette.requests import Request
from starlette.types import Scope

from gateway.api.state import State
from gateway.auth.authentication import Administrator, authenticate_member
from gateway.openapi.operation import operation_of
from gateway.problems.documents import refused
from redemption.configuration.current import Terminal
from redemption.domain.outcomes import Refusal


def calling_terminal(request: Request, body: bytes = b"") -> Terminal:
    """Return the terminal that calls, with a key of the operation's scopes. Raises what authentication raises."""
    state: State = request.app.state.tong
    scope: Scope = request.scope
    scopes = operation_of(scope["endpoint"]).scopes
    return state.authenticator.terminal(request.headers.get("authorization"), scopes, scope, body)


async def counted_terminal(request: Request, body: bytes = b"") -> Terminal:
    """Count the call of a terminal and return the terminal. Raises what authentication raises, and `rate_limited`."""
    state: State = request.app.state.tong
    terminal = calling_terminal(request, body)
    _refuse(await state.rates.terminal(terminal))
    return terminal


async def counted_administrator(request: Request) -> Administrator:
    """Count the call of a back-office key with the operation's role and return who holds it.

    Raises what authentication raises, and `rate_limited`.
    """
    state: State = request.app.state.tong
    role = operation_of(request.scope["endpoint"]).role
    assert role is not None
    who = state.authenticator.administrator(request.headers.get("authorization"), role)
    await count_office(state, who.key_id)
    return who


async def counted_member(request: Request) -> int:
    """Count the call of a member's app and return the member's number. Raises what authentication raises, and
    `rate_limited`."""
    state: State = request.app.state.tong
    number = await authenticate_member(request.headers.get("authorization"), state.members)
    await count_member(state, number)
    return number


async def count_member(state: State, number: int) -> None:
    """Count a call of a member's app. Raises `rate_limited`."""
    _refuse(await state.rates.member(number))


async def count_office(state: State, key_id: str) -> None:
    """Count a call with a key of the back office. Raises `rate_limited`."""
    _refuse(await state.rates.office(key_id))


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refused(refusal)
