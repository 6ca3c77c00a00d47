"""GET /openapi.json and /docs: the description of the interface, for programs and for people."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.openapi.document import document
from gateway.openapi.operation import Returns, operation
from gateway.pages import reference

_CACHE = {"cache-control": "public, max-age=300", "x-content-type-options": "nosniff"}


@operation(
    "getOpenApiDocument",
    "GET",
    "/openapi.json",
    "Platform",
    "anybody",
    returns=(Returns("OpenAPI 3.1.", dict[str, Any], {"openapi": "3.1.0"}),),
)
async def openapi(request: Request) -> Response:
    """This interface as OpenAPI 3.1, for code generators and API tools."""
    body = _once(request, "openapi_json", lambda: orjson.dumps(document(request.app.routes)))
    return Response(body, media_type="application/json", headers={**_CACHE, "access-control-allow-origin": "*"})


@operation(
    "getReferencePage",
    "GET",
    "/docs",
    "Platform",
    "anybody",
    returns=(Returns("A page.", None, "<!doctype html>", media_type="text/html; charset=utf-8"),),
)
async def docs(request: Request) -> Response:
    """This interface as a page: how to authenticate, when to retry, every call and every refusal."""
    body = _once(request, "docs_html", lambda: reference.page(document(request.app.routes)).encode())
    return Response(body, media_type="text/html", headers={**_CACHE, **reference.security_headers()})


def _once(request: Request, name: str, build: Callable[[], bytes]) -> bytes:
    """Build a body at the first request to this process and keep it for the others."""
    kept = request.app.state
    if not hasattr(kept, name):
        setattr(kept, name, build())
    body: bytes = getattr(kept, name)
    return body


ENDPOINTS: Final = (openapi, docs)
