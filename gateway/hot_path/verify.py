"""POST /v1/verify: an ASGI application without Request and Response objects.

The order of the checks is the order of the contract's refusals. Nothing is logged on this path. A refusal is an answer;
`outcome: unknown` is only said where a call may have reached the hot store.
"""

import time
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.auth.authentication import TERMINAL, KeyAuthenticator, TerminalScope
from gateway.hot_path.admission import Admission
from gateway.hot_path.scan_answer import scan_body
from gateway.hot_path.scan_cycle import Answer
from gateway.http.body import ClientGone, bounded, decode, read_body, require_json
from gateway.http.responses import JSON, header, send_answer
from gateway.observability.hot_store_health import HotStoreHealth
from gateway.observability.metrics import APPLIED, REPLAYED, Metrics
from gateway.observability.scan_counters import ScanCounters
from gateway.openapi.operation import Returns, operation
from gateway.openapi.parameters import IDEMPOTENCY_KEY
from gateway.openapi.problem_schema import EarlierRedemption
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed, refused
from gateway.scans import examples
from gateway.scans.input import (
    REPLAYED_HEADER,
    ask_hot_store,
    check_bill,
    code_use,
    fingerprint,
    idempotency_key,
    read_code_of_key,
    repeat_of,
)
from gateway.scans.schemas import RedemptionAnswer
from redemption.configuration.current import Terminal
from redemption.domain.clock import Clock
from redemption.domain.commands import Leg, VerifyRequest
from redemption.domain.limits import RATE_WINDOW_SECONDS, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Refusal
from redemption.hot.faults import HotStoreFault
from redemption.known_keys import KeyRecord
from redemption.service import Redemptions, Scan
from tokens.codec import CodeReader

VERIFY_PATH: Final = "/v1/verify"
OVERLOADED: Final = "This gateway has as many scans in hand as it can do in time"

_REDEEM: Final[tuple[TerminalScope, ...]] = ("redeem",)
_HOLD: Final[tuple[TerminalScope, ...]] = ("hold",)
_decoder: Final = msgspec.json.Decoder(VerifyRequest)


def _text(value: bytes | None) -> str | None:
    """A header's value as text."""
    return None if value is None else str(value, "latin-1")


def _refusal_answer(problem: Problem, accept_language: str | None) -> Answer:
    """Return status, body and headers of a problem."""
    return problem.kind.status, problem.body(accept_language), problem.headers


@operation(
    "verify",
    "POST",
    VERIFY_PATH,
    "Scan",
    "terminal",
    scopes=("redeem", "hold"),
    summary="One scan, one atomic basket. Everything asked is applied and written down, or nothing is. "
    "Without legs it says whose code this is, and uses the code. With `capture: false` it places a hold, which "
    "ends by itself after `hold_seconds`.",
    parameters=(IDEMPOTENCY_KEY,),
    request=VerifyRequest,
    request_examples=examples.VERIFY,
    returns=(
        Returns("Applied: charge `bill.payable_minor`.", RedemptionAnswer, examples.REDEMPTION, 201, replayable=True),
    ),
    refusals=(
        *groups.BODY,
        *groups.KEY_OF_CALLER,
        *groups.STORE,
        *groups.IDEMPOTENCY,
        "cancelled",
        *groups.CODE,
        *groups.BASKET,
    ),
    rated=True,
)
class VerifyEndpoint:
    """The endpoint: an ASGI application, or (`answer`) for the fast path of gateway/hot_path/scan_cycle.py."""

    def __init__(
        self,
        redemptions: Redemptions,
        authenticator: KeyAuthenticator,
        reader: CodeReader,
        metrics: Metrics,
        clock: Clock,
        counters: ScanCounters,
        watch: HotStoreHealth,
    ) -> None:
        self._redemptions = redemptions
        self._authenticator = authenticator
        self._reader = reader
        self._metrics = metrics
        self._clock = clock
        self._counters = counters
        self._watch = watch
        self.admission = Admission(time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            body = await read_body(receive)
        except Problem as problem:
            self._count(scope, problem, problem.kind.code, time.perf_counter() - started)
            status, body, headers = _refusal_answer(problem, header(scope, b"accept-language"))
        except ClientGone:
            return
        else:
            status, body, headers = await self.answer(scope, body)
        await send_answer(send, status, body, headers)

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Status, body and headers of the answer to a whole request. A fault nobody thought of is raised."""
        started = time.perf_counter()
        # Of a header that stands twice the first counts, as in `header`.
        named = dict(reversed(scope["headers"]))
        refusal: Problem | None = None
        try:
            answer, outcome = await self._answer(scope, named, bounded(body))
        except Problem as problem:
            refusal, outcome = problem, problem.kind.code
            answer = _refusal_answer(problem, _text(named.get(b"accept-language")))
        self._count(scope, refusal, outcome, time.perf_counter() - started)
        return answer

    def _count(self, scope: Scope, refusal: Problem | None, outcome: str, seconds: float) -> None:
        terminal = scope.get(TERMINAL)
        if refusal is not None:
            self._counters.refused(terminal, outcome, VERIFY_PATH)
            if refusal.unknown:
                self._metrics.verify_unknown.inc()
                self._counters.unknown()
            if refusal.guess and terminal is not None:
                self._metrics.guesses.inc()
                self._counters.guess(terminal)
        self._metrics.count_verify(outcome, seconds)
        self._counters.scan(terminal, outcome, seconds)

    def turned_away(self) -> None:
        """Counts a scan that gateway/server/protocol.py refused on the endpoint's behalf."""
        self._metrics.count_turned_away()
        self._counters.turned_away()

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> tuple[Answer, str]:
        content_type = headers.get(b"content-type")
        if content_type != JSON:
            require_json(_text(content_type))
        request, canonical = decode(body, _decoder)
        key = idempotency_key(_text(headers.get(b"idempotency-key")))
        if request.capture and request.hold_seconds is not None:
            raise malformed("is for a hold: set capture to false", "hold_seconds")
        terminal = self._authenticator.terminal(
            _text(headers.get(b"authorization")), _REDEEM if request.capture else _HOLD, scope, body
        )
        asked = fingerprint(b"verify", canonical)
        try:
            check_bill(request.bill, terminal)
        except Problem:
            if not await repeat_of(self._redemptions, terminal, key, asked):
                raise
        self._watch.refuse_if_full()
        if self.admission.refuses():
            raise Problem("overloaded", OVERLOADED)
        self.admission.enter()
        try:
            claim = await read_code_of_key(
                self._redemptions,
                terminal,
                self._reader,
                request.code,
                self._clock(),
                key=key,
                fingerprint=asked,
                asks=False,
            )
            if isinstance(claim, KeyRecord):
                return await self._answer_by_key(claim, asked, terminal, request.legs)
            scan = Scan(
                terminal=terminal,
                code=code_use(claim),
                key=key,
                fingerprint=asked,
                bill=request.bill,
                legs=request.legs,
                hold_seconds=0 if request.capture else request.hold_seconds,
                confirm_duplicate=request.confirm_duplicate,
            )
            verified = await ask_hot_store(self._redemptions.verify(scan, deadline_seconds=VERIFY_DEADLINE_SECONDS))
        finally:
            self.admission.leave()
        result, rate = verified.result, verified.rate
        rate_headers = (
            (b"ratelimit-policy", b'"terminal";q=%d;w=%d' % (rate.limit, RATE_WINDOW_SECONDS)),
            (b"ratelimit", b'"terminal";r=%d;t=%d' % (rate.left, rate.reset_seconds)),
        )
        if isinstance(result, Refusal):
            problem = await self._refusal(result, terminal, request.legs, rate.reset_seconds)
            problem.headers += rate_headers
            raise problem
        if result.replayed:
            return (201, scan_body(result), (*rate_headers, REPLAYED_HEADER)), REPLAYED
        return (201, scan_body(result), rate_headers), APPLIED

    async def _answer_by_key(
        self, record: KeyRecord, asked: str, terminal: Terminal, legs: tuple[Leg, ...]
    ) -> tuple[Answer, str]:
        """The answer that the key was given before, to a repeat whose code cannot be read any more."""
        refusal = record.refusal(asked)
        if refusal is not None:
            raise await self._refusal(refusal, terminal, legs)
        result = await ask_hot_store(self._redemptions.known_keys.scan_of(record))
        if isinstance(result, Refusal):
            raise refused(result)
        return (201, scan_body(result), (REPLAYED_HEADER,)), REPLAYED

    async def _refusal(
        self, refusal: Refusal, terminal: Terminal, legs: tuple[Leg, ...], retry_after: int = 1
    ) -> Problem:
        """Return the problem that says why nothing was applied, with the earlier redemption of a possible duplicate."""
        problem = refused(refusal, retry_after=retry_after, currency=terminal.business.currency, legs=legs)
        if refusal.earlier_id is not None:
            problem.extensions["earlier"] = await self._earlier(refusal.earlier_id, terminal)
        return problem

    async def _earlier(self, redemption_id: str, terminal: Terminal) -> dict[str, Any] | None:
        """Return the redemption that a possible duplicate repeats, for its refusal. None where it cannot be read now:
        the refusal does not wait for it."""
        try:
            found = await self._redemptions.find(redemption_id, terminal.business.business_id)
        except (HotStoreFault, TimeoutError):
            return None
        if found is None:
            return None
        earlier: dict[str, Any] = msgspec.to_builtins(EarlierRedemption.of(found))
        return earlier
