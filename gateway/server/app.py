"""The ASGI application of one worker."""

import logging
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gateway.api.state import State
from gateway.auth.authentication import TERMINAL
from gateway.hot_path.scan_cycle import Answer
from gateway.hot_path.verify import VERIFY_PATH, VerifyEndpoint
from gateway.http.body import ClientGone
from gateway.http.responses import answer
from gateway.http.security_headers import with_security_headers
from gateway.observability.scan_counters import ScanCounters
from gateway.problems.documents import Problem
from gateway.server.routes import routes

TILL_PATHS: Final = ("/v1/prepare", "/v1/cancel", "/v1/redemptions", "/v1/accruals")

logger = logging.getLogger(__name__)


class Application(Starlette):
    """Starlette with a fast path for the one endpoint that every scan takes.

    The endpoint stays in the routing, and everything else about its path (other methods) is answered there. `POST
    /v1/verify` goes straight to it, past two layers of middleware and the router: written for speed, measured by
    `make bench`.
    """

    verify: VerifyEndpoint

    async def answer_scan(self, scope: Scope, body: bytes) -> Answer:
        """Answer a scan on the fast path (gateway/hot_path/scan_cycle.py). Raises nothing."""
        try:
            return await self.verify.answer(scope, body)
        except Exception as fault:
            told = unforeseen_fault(self.state.tong, Request(scope), fault)
            return told.status_code, bytes(told.body), ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != VERIFY_PATH or scope["method"] != "POST":
            await super().__call__(scope, receive, with_security_headers(send) if scope["type"] == "http" else send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.verify(scope, receive, sending)
        except Exception as fault:
            if not begun:  # the fault is answered here and raised to the server, as ServerErrorMiddleware does
                found = unforeseen_fault(self.state.tong, Request(scope), fault)
                await found(scope, receive, with_security_headers(send))
            raise


def application(state: State) -> Application:
    """Return the application over parts that are running (gateway.server.lifespan)."""
    verify = VerifyEndpoint(
        state.redemptions,
        state.authenticator,
        state.reader,
        state.metrics,
        state.clock,
        state.live.counters,
        state.watch,
    )

    async def problem(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, Problem)
        note_refusal(state.live.counters, request, fault)
        if fault.kind.code == "rate_limited":
            state.metrics.rate_limited.labels(fault.extensions.get("scope", "codes")).inc()
        terminal = request.scope.get(TERMINAL)
        if fault.guess and terminal is not None:
            state.metrics.guesses.inc()
            state.live.counters.guess(terminal)
        return problem_answer(fault, request.headers.get("accept-language"))

    async def http_fault(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, HTTPException)
        if fault.status_code == 405:
            allowed = methods_of_path(request)
            found = Problem(
                "method_not_allowed",
                f"This path takes {allowed or 'other methods'}",
                headers=((b"allow", allowed.encode()),),
            )
        elif fault.status_code == 404:
            found = Problem("not_found", "No such path; /docs lists all paths")
        else:
            found = Problem("malformed", fault.detail)
        return problem_answer(found, request.headers.get("accept-language"))

    async def unforeseen(request: Request, fault: Exception) -> Response:
        return unforeseen_fault(state, request, fault)

    async def client_gone(_request: Request, fault: Exception) -> Response:
        """Return an answer that nobody reads: the client ended the connection before its request was complete."""
        assert isinstance(fault, ClientGone)
        return Response(status_code=400)

    handlers: dict[Any, Any] = {
        ClientGone: client_gone,
        Problem: problem,
        HTTPException: http_fault,
        Exception: unforeseen,
    }
    app = Application(routes=routes(verify), exception_handlers=handlers)
    app.verify = verify
    app.router.redirect_slashes = False  # a path that is not in the table is a 404 problem, not a redirect
    app.state.tong = state
    return app


def methods_of_path(request: Request) -> str:
    """Return the methods of a path, for the header Allow (RFC 9110, 10.2.1).

    All its routes count; Starlette looks at the first only.
    """
    path = request.url.path
    matching = [route for route in request.app.routes if isinstance(route, Route) and route.path_regex.fullmatch(path)]
    # `/v1/redemptions/search` is a path of its own, although it has the form of an id's.
    literal = [route for route in matching if route.path == path]
    taken: set[str] = set()
    for route in literal or matching:
        taken |= route.methods or set()
    return ", ".join(sorted(taken))


def note_refusal(counters: ScanCounters, request: Request, problem: Problem) -> None:
    """Keep a till's refused call, for operations: the path without the ids in it."""
    path = request.url.path
    if not path.startswith(TILL_PATHS):
        return
    for name, value in request.path_params.items():
        path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    counters.refused(request.scope.get(TERMINAL), problem.kind.code, path)


def unforeseen_fault(state: State, request: Request, fault: Exception) -> Response:
    """Return the answer to an unforeseen fault."""
    state.metrics.faults.inc()
    logger.error("unforeseen fault at %s %s", request.method, request.url.path, exc_info=fault)
    # A fault after the hot store was asked cannot say what happened; the same key can.
    unknown = request.method == "POST"
    return problem_answer(
        Problem("unavailable", "An unforeseen fault happened; it was logged", unknown=unknown),
        request.headers.get("accept-language"),
    )


def problem_answer(problem: Problem, accept_language: str | None) -> Response:
    """Return a problem as a whole answer."""
    return answer(problem.kind.status, problem.body(accept_language), problem.headers)
