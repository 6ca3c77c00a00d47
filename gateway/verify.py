"""POST /v1/verify, the endpoint the project exists for: an ASGI application without Request and Response objects.

The order of the checks is the order of the contract's refusals. Nothing is logged on this path. A refusal is an answer;
`outcome: unknown` is only said where a call may have reached the hot store.
"""

import time
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.answers import Headers, header, send_answer
from gateway.authentication import KeyAuthenticator
from gateway.body import ClientGone, decode, read_body, require_json
from gateway.metrics import APPLIED, REPLAYED, Metrics
from gateway.problems import Problem, refused
from gateway.rendering import redemption_body
from gateway.tills import ask_hot_store, check_bill, fingerprint, idempotency_key, read_code
from redemption.directory import Terminal
from redemption.domain.clock import Clock
from redemption.domain.commands import VerifyRequest
from redemption.domain.limits import VERIFY_DEADLINE_SECONDS, VERIFY_IN_FLIGHT_MAX
from redemption.domain.outcomes import Refusal
from redemption.service import Redemptions, Scan
from tokens.claims import CODE_LIFETIME_SECONDS, Standing
from tokens.codec import CodeReader

REPLAYED_HEADER: Final = (b"idempotency-replayed", b"true")
_decoder: Final = msgspec.json.Decoder(VerifyRequest)


class VerifyEndpoint:
    """The ASGI application behind `POST /v1/verify`."""

    def __init__(
        self,
        redemptions: Redemptions,
        authenticator: KeyAuthenticator,
        reader: CodeReader,
        metrics: Metrics,
        clock: Clock,
        *,
        in_flight_max: int = VERIFY_IN_FLIGHT_MAX,
    ) -> None:
        self._redemptions = redemptions
        self._authenticator = authenticator
        self._reader = reader
        self._metrics = metrics
        self._clock = clock
        self._in_flight_max = in_flight_max
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        metrics = self._metrics
        try:
            body, status, headers, outcome = await self._answer(scope, receive)
        except Problem as problem:
            body, status = problem.body(header(scope, b"accept-language")), problem.kind.status
            headers, outcome = problem.headers, problem.kind.code
            if problem.unknown:
                metrics.verify_unknown.inc()
        except ClientGone:
            return
        metrics.verify_outcome[outcome].inc()
        metrics.verify_seconds.observe(time.perf_counter() - started)
        await send_answer(send, status, body, headers)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[bytes, int, Headers, str]:
        body = await read_body(receive)
        require_json(header(scope, b"content-type"))
        request, canonical = decode(body, _decoder)
        key = idempotency_key(header(scope, b"idempotency-key"))
        terminal = self._authenticator.terminal(header(scope, b"authorization"))
        check_bill(request.bill, terminal)
        if self._in_flight >= self._in_flight_max:
            raise Problem("overloaded", "This gateway has as many scans in hand as it can do in time")
        self._in_flight += 1
        try:
            scan = self._scan(request, terminal, key, canonical)
            result = await ask_hot_store(self._redemptions.verify(scan, deadline_seconds=VERIFY_DEADLINE_SECONDS))
        finally:
            self._in_flight -= 1
        if isinstance(result, Refusal):
            raise refused(result)
        if result.replayed:
            return redemption_body(result), 201, (REPLAYED_HEADER,), REPLAYED
        return redemption_body(result), 201, (), APPLIED

    def _scan(self, request: VerifyRequest, terminal: Terminal, key: str, canonical: bytes) -> Scan:
        claim = read_code(self._reader, request.code, self._clock())
        return Scan(
            terminal=terminal,
            member_number=claim.member_number,
            slot=claim.slot,
            marker=claim.nonce,
            code_time=claim.expires_at - CODE_LIFETIME_SECONDS,
            code_expired=claim.standing is not Standing.VALID,
            key=key,
            fingerprint=fingerprint(b"verify", canonical),
            bill=request.bill,
            legs=request.legs,
        )
