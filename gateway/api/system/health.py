"""Liveness, readiness, metrics and public keys: what the platform asks, without credentials."""

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.state import State
from gateway.api.system import examples
from gateway.api.system.schemas import HealthAnswer, PublicKeysAnswer, ReadinessAnswer
from gateway.http.responses import answer
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
    """The process turns its event loop. Depends on nothing, so that a lost store restarts no gateway."""
    return answer(200, b'{"status":"ok"}')


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
    body = {
        "status": "ready",
        "configuration_version": state.configuration.current.version,
        "configuration_stale": state.configuration.stale_seconds > STALE_SECONDS,
        "frozen_buckets": [{"bucket": bucket, "reason": why} for bucket, why in sorted(state.frozen.items())],
        "weaknesses": [
            {"setting": w.setting, "found": w.found, "wanted": w.wanted, "meaning": w.meaning} for w in state.weaknesses
        ],
    }
    return answer(200, orjson.dumps(body))


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
        orjson.dumps(state.key_ring.ring.public_jwks()),
        media_type="application/jwk-set+json",
        headers={"cache-control": "public, max-age=60"},
    )


ENDPOINTS: Final = (healthz, readyz, metrics, jwks)
