"""The ASGI application of one worker."""

import logging
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import answer
from gateway.problems import Problem
from gateway.routes import routes
from gateway.state import State
from gateway.verify import VerifyEndpoint

logger = logging.getLogger(__name__)


def application(state: State) -> Starlette:
    """The application over parts that are running (gateway.lifespan)."""
    verify = VerifyEndpoint(state.redemptions, state.authenticator, state.reader, state.metrics, state.clock)

    async def problem(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, Problem)
        return problem_answer(fault, request.headers.get("accept-language"))

    async def http_fault(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, HTTPException)
        if fault.status_code == 405:
            allowed = (fault.headers or {}).get("Allow", "")
            found = Problem(
                "method_not_allowed",
                f"This path takes {allowed or 'other methods'}",
                headers=((b"allow", allowed.encode()),),
            )
        elif fault.status_code == 404:
            found = Problem("not_found", "There is nothing at this path; /docs lists what there is")
        else:
            found = Problem("malformed", fault.detail)
        return problem_answer(found, request.headers.get("accept-language"))

    async def unforeseen(request: Request, fault: Exception) -> Response:
        state.metrics.faults.inc()
        logger.error("unforeseen fault at %s %s", request.method, request.url.path, exc_info=fault)
        # A fault after the hot store was asked cannot say what happened; the same key can.
        unknown = request.method == "POST"
        return problem_answer(
            Problem("unavailable", "Something unforeseen happened here; it was recorded", unknown=unknown),
            request.headers.get("accept-language"),
        )

    handlers: dict[Any, Any] = {Problem: problem, HTTPException: http_fault, Exception: unforeseen}
    app = Starlette(routes=routes(verify), exception_handlers=handlers)
    app.router.redirect_slashes = False  # a path that is not in the table is a 404 problem, not a redirect
    app.state.tong = state
    return app


def problem_answer(problem: Problem, accept_language: str | None) -> Response:
    """A problem as a whole answer."""
    return answer(problem.kind.status, problem.body(accept_language), problem.headers)
