"""POST /v1/verify, the endpoint the project exists for: one scan in seven steps (`VerifyEndpoint._verify`).

Guarantees: the steps refuse in the order of the contract's refusals. A refusal is a response; `outcome: unknown` is
said only where a call may have reached the hot store. Nothing is logged here.

Written for speed: an ASGI application without Request and Response objects, measured by `make bench` and, without
sockets, by `python -m tests.measure_path`.
"""

import time
from collections.abc import Awaitable
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.auth.authentication import TERMINAL, KeyAuthenticator
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
    check_new_bill,
    code_use,
    fingerprint,
    idempotency_key,
    settle_by_key,
)
from gateway.scans.schemas import RedemptionAnswer
from redemption.configuration.current import Terminal
from redemption.credentials import TerminalScope
from redemption.domain.clock import Clock
from redemption.domain.commands import Leg, VerifyRequest
from redemption.domain.limits import RATE_WINDOW_SECONDS, VERIFY_DEADLINE_SECONDS
from redemption.domain.outcomes import Refusal
from redemption.hot.faults import HotStoreFault
from redemption.service import Redemptions, Scan, Verified
from tokens.claims import CodeClaim, Refused
from tokens.codec import CodeReader

VERIFY_PATH: Final = "/v1/verify"
OVERLOADED: Final = "This gateway has as many scans in hand as it can do in time"

_REDEEM: Final[tuple[TerminalScope, ...]] = ("redeem",)
_HOLD: Final[tuple[TerminalScope, ...]] = ("hold",)
_decoder: Final = msgspec.json.Decoder(VerifyRequest)


def _text(value: bytes | None) -> str | None:
    """Return a header's value as text."""
    return None if value is None else str(value, "latin-1")


def _refusal_response(problem: Problem, accept_language: str | None) -> Answer:
    return problem.kind.status, problem.body(accept_language), problem.headers


def _read_request(headers: dict[bytes, bytes], body: bytes) -> tuple[VerifyRequest, str, str]:
    """Return the request, its idempotency key and its fingerprint.

    Raises `unsupported_media_type`, `malformed`, `idempotency_key_missing`.
    """
    content_type = headers.get(b"content-type")
    if content_type != JSON:
        require_json(_text(content_type))
    request, canonical = decode(body, _decoder)
    key = idempotency_key(_text(headers.get(b"idempotency-key")))
    if request.capture and request.hold_seconds is not None:
        raise malformed("is for a hold: set capture to false", "hold_seconds")
    return request, key, fingerprint(b"verify", canonical)


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
    """Answers `POST /v1/verify`: as an ASGI application, or by `answer` on the fast path (scan_cycle.py)."""

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
            status, body, headers = _refusal_response(problem, header(scope, b"accept-language"))
        except ClientGone:
            return
        else:
            status, body, headers = await self.answer(scope, body)
        await send_answer(send, status, body, headers)

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a whole request and count it. Returns status, body and headers. Raises only unforeseen faults."""
        started = time.perf_counter()
        # Of two headers with one name the first counts, as in `header`.
        named = dict(reversed(scope["headers"]))
        refusal: Problem | None = None
        try:
            answer, outcome = await self._verify(scope, named, bounded(body))
        except Problem as problem:
            refusal, outcome = problem, problem.kind.code
            answer = _refusal_response(problem, _text(named.get(b"accept-language")))
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
        """Count a scan that gateway/server/protocol.py refused in place of the endpoint."""
        self._metrics.count_turned_away()
        self._counters.turned_away()

    async def _verify(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> tuple[Answer, str]:
        """Take one scan through its seven steps. Returns the response and its outcome. Raises the refusal of a step."""
        request, key, asked = _read_request(headers, body)
        terminal = self._authenticate(request, headers, scope, body)
        await check_new_bill(self._redemptions, request.bill, terminal, key, asked)
        self._admit()
        try:
            code = self._reader.read(request.code, self._clock())
            if isinstance(code, Refused):
                return await self._answer_by_key(code, request.legs, terminal, key, asked)
            verified = await self._decide(request, code, terminal, key, asked)
        finally:
            self.admission.leave()
        return await self._respond(verified, request.legs, terminal)

    def _authenticate(self, request: VerifyRequest, headers: dict[bytes, bytes], scope: Scope, body: bytes) -> Terminal:
        """Return the terminal whose key this is. Raises as `KeyAuthenticator.terminal` does."""
        scopes = _REDEEM if request.capture else _HOLD
        return self._authenticator.terminal(_text(headers.get(b"authorization")), scopes, scope, body)

    def _admit(self) -> None:
        """Count the scan as in flight. Raises `unavailable` while the ledger is too far behind, `overloaded`."""
        self._watch.refuse_if_full()
        if self.admission.refuses():
            raise Problem("overloaded", OVERLOADED)
        self.admission.enter()

    async def _answer_by_key(
        self, unread: Refused, legs: tuple[Leg, ...], terminal: Terminal, key: str, asked: str
    ) -> tuple[Answer, str]:
        """Return the response that the key was given before, for a code that cannot be read.

        Raises the refusal of the code where the key is not known, and the refusal that the key was given before.
        """
        record = await settle_by_key(self._redemptions, terminal, unread, key=key, fingerprint=asked)
        refusal = record.refusal(asked)
        if refusal is not None:
            raise await self._refusal(refusal, terminal, legs)
        result = await ask_hot_store(self._redemptions.known_keys.find_scan(record))
        if isinstance(result, Refusal):
            raise refused(result)
        return (201, scan_body(result), (REPLAYED_HEADER,)), REPLAYED

    def _decide(
        self, request: VerifyRequest, code: CodeClaim, terminal: Terminal, key: str, asked: str
    ) -> Awaitable[Verified]:
        """Return the decision of the hot store, which is one FCALL. Awaiting it raises as `ask_hot_store` does."""
        scan = Scan(
            terminal=terminal,
            code=code_use(code),
            key=key,
            fingerprint=asked,
            bill=request.bill,
            legs=request.legs,
            hold_seconds=0 if request.capture else request.hold_seconds,
            confirm_duplicate=request.confirm_duplicate,
        )
        return ask_hot_store(self._redemptions.verify(scan, deadline_seconds=VERIFY_DEADLINE_SECONDS))

    async def _respond(self, verified: Verified, legs: tuple[Leg, ...], terminal: Terminal) -> tuple[Answer, str]:
        """Return the response to a decision, with the terminal's rate. Raises the refusal, with the same headers."""
        result, rate = verified.result, verified.rate
        rate_headers = (
            (b"ratelimit-policy", b'"terminal";q=%d;w=%d' % (rate.limit, RATE_WINDOW_SECONDS)),
            (b"ratelimit", b'"terminal";r=%d;t=%d' % (rate.left, rate.reset_seconds)),
        )
        if isinstance(result, Refusal):
            problem = await self._refusal(result, terminal, legs, rate.reset_seconds)
            problem.headers += rate_headers
            raise problem
        if result.replayed:
            return (201, scan_body(result), (*rate_headers, REPLAYED_HEADER)), REPLAYED
        return (201, scan_body(result), rate_headers), APPLIED

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
