"""References to compare one scan with: three servers under the very uvicorn settings of gateway/server/serve.py.

    starlette   a Starlette endpoint that decodes JSON and answers JSON: the least any such service does
    raw         the same without Starlette: an ASGI function that reads the body and answers
    plain       what one writes first: Starlette endpoint, jwt.decode, redis-py, one EVALSHA that deducts from lots once
                per key and code, with a record and a stream entry, on the same durable hot store

`python -m loadtest.bench.references KIND [--valkey-url …] [--code-keys …] [--members …]` serves one on a free port and
prints the port.
"""

import argparse
import asyncio
import os
import secrets
import socket
from pathlib import Path
from typing import Any

import jwt
import orjson
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from loadtest.population import ENVIRONMENT
from tokens.keyring import KeyRing

PLAIN_SCRIPT = Path(__file__).with_name("plain.lua").read_text()
ANSWER: dict[str, Any] = {
    "redemption_id": "rdm_016hwa54cwdz9zr9mv",
    "status": "captured",
    "created_at": "2026-11-22T03:04:05.678Z",
    "hold_expires_at": None,
    "member": {"member_id": "mem_0000001", "tier": "gold", "display_name": "陳**"},
    "legs": [{"kind": "points", "points": 2000, "value_minor": 2000, "lots": [{"issuer": "hotel", "points": 2000}]}],
    "bill": {"amount_minor": 25800, "discount_minor": 2000, "payable_minor": 23800},
    "balance": {"points": 8000, "points_held": 0, "stored_value_minor": 0},
}


def starlette_noop() -> ASGIApp:
    """Answer JSON to JSON."""

    async def verify(request: Request) -> Response:
        await request.json()
        return JSONResponse(ANSWER, 201)

    async def codes(request: Request) -> Response:
        await request.json()
        return JSONResponse(ANSWER, 200)

    return Starlette(
        routes=[Route("/v1/verify", verify, methods=["POST"]), Route("/v1/me/codes", codes, methods=["POST"])]
    )


async def raw_noop(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer JSON, and nothing else."""
    message = await receive()
    orjson.loads(message["body"])
    body = orjson.dumps(ANSWER)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PlainDesign:
    """The straightforward service; correct and durable, without the work of the real one on its path."""

    def __init__(self, valkey_url: str, code_keys: Path) -> None:
        self._redis: Redis = Redis.from_url(valkey_url)
        self._redeem = self._redis.register_script(PLAIN_SCRIPT)
        ring = KeyRing.load(code_keys, ENVIRONMENT)
        self._secrets = {key.kid: key.secret for key in ring.keys}

    async def verify(self, request: Request) -> Response:
        """Verify one scan, points only."""
        body = await request.json()
        code = body["code"]
        kid = jwt.get_unverified_header(code)["kid"]
        claims = jwt.decode(code, self._secrets[kid], algorithms=["HS256"])
        member, points = claims["sub"], body["legs"][0]["points"]
        redemption_id = "rdm_" + secrets.token_hex(9)
        reply: list[Any] = await self._redeem(
            keys=[
                f"plain:key:{request.headers['idempotency-key']}",
                f"plain:lots:{member}",
                f"plain:code:{claims['jti']}",
                f"plain:redemption:{redemption_id}",
                "plain:ledger",
            ],
            args=[redemption_id, points, member, body["bill"]["amount_minor"]],
        )
        if reply[0] != 0:
            return JSONResponse({"code": "refused", "reason": reply[0]}, 409)
        amount = body["bill"]["amount_minor"]
        return JSONResponse(
            {
                **ANSWER,
                "redemption_id": reply[1].decode(),
                "bill": {"amount_minor": amount, "discount_minor": points, "payable_minor": amount - points},
                "balance": {"points": reply[2], "points_held": 0, "stored_value_minor": 0},
            },
            201,
        )

    def application(self) -> ASGIApp:
        return Starlette(routes=[Route("/v1/verify", self.verify, methods=["POST"])])


def application(kind: str, arguments: argparse.Namespace) -> ASGIApp:
    """Return the application of a kind."""
    if kind == "starlette":
        return starlette_noop()
    if kind == "raw":
        return raw_noop
    return PlainDesign(os.environ["TONG_VALKEY_URL"], arguments.code_keys).application()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("starlette", "raw", "plain"))
    parser.add_argument("--code-keys", type=Path)
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)

    async def serve() -> None:
        config = uvicorn.Config(
            application(arguments.kind, arguments),
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_keep_alive=30,
        )
        await uvicorn.Server(config).serve(sockets=[listener])

    import uvloop  # noqa: PLC0415 - only the process that serves needs it

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
