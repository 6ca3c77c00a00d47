"""Liveness, readiness, metrics and public keys, which the platform reads without credentials."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.schemas import (
    FrozenBucket,
    HealthAnswer,
    PublicKeysAnswer,
    ReadinessAnswer,
    WeaknessAnswer,
)
from gateway.http.responses import encode, respond
from gateway.observability.alarms import STALE_SECONDS
from gateway.openapi.operation import Returns, operation
from gateway.problems.documents import Problem

ALL_FROZEN = "the buckets of all members are frozen: run `tong rebuild --all` (docs/guides/operations.md)"


@operation(
    "getHealth",
    "GET",
    "/healthz",
    "Platform",
    "anybody",
    returns=(Returns("The process is running.", HealthAnswer, {"status": "ok"}),),
)
async def healthz(_request: Request) -> Response:
    """Liveness: the event loop responds. Depends on no store, so that a lost store restarts no gateway."""
    return respond(HealthAnswer("ok"))


@operation(
    "getReadiness",
    "GET",
    "/readyz",
    "Platform",
    "anybody",
    returns=(Returns("Ready.", ReadinessAnswer, examples.READY),),
    refusals=("unavailable",),
)
async def readyz(request: Request) -> Response:
    """Return 200 if scans sent here can be decided for some member, else 503 with the reasons.

    Frozen buckets of other members, and weaknesses, are named and do not make it unready.
    """
    state: State = request.app.state.tong
    reasons = []
    if state.draining:
        reasons.append("draining")
    reasons += state.watch.reasons
    if state.members_frozen:
        reasons.append(ALL_FROZEN)
    if reasons:
        raise Problem("unavailable", f"Not ready: {', '.join(reasons)}", reasons=reasons)
    return respond(
        ReadinessAnswer(
            status="ready",
            configuration_version=state.configuration.current.version,
            configuration_stale=state.configuration.stale_seconds > STALE_SECONDS,
            frozen_buckets=tuple(FrozenBucket(bucket, why) for bucket, why in sorted(state.frozen.items())),
            weaknesses=tuple(WeaknessAnswer.of(warning) for warning in state.weaknesses),
        )
    )


@operation(
    "getMetrics",
    "GET",
    "/metrics",
    "Platform",
    "anybody",
    returns=(
        Returns(
            "Metrics.",
            None,
            "# HELP tong_codes_issued_total Codes issued\n",
            media_type="text/plain; version=0.0.4; charset=utf-8",
        ),
    ),
)
async def metrics(request: Request) -> Response:
    """Prometheus text format, over all workers and the ledger writer."""
    state: State = request.app.state.tong
    return Response(state.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


@operation(
    "getPublicKeys",
    "GET",
    "/.well-known/jwks.json",
    "Platform",
    "anybody",
    returns=(Returns("The keys.", PublicKeysAnswer, {"keys": []}, media_type="application/jwk-set+json"),),
)
async def jwks(request: Request) -> Response:
    """The public keys with which a scanner can check EdDSA codes without the network (RFC 7517)."""
    state: State = request.app.state.tong
    return Response(
        encode(msgspec.convert(state.key_ring.ring.public_jwks(), PublicKeysAnswer)),
        media_type="application/jwk-set+json",
        headers={"cache-control": "public, max-age=60"},
    )


ENDPOINTS: Final = (healthz, readyz, metrics, jwks)
