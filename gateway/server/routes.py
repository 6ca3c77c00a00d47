"""The routes of a worker, made from the operations of the endpoints, and the pages for people."""

from typing import Any, Final

from starlette.routing import Route

from gateway.api.endpoints import ENDPOINTS
from gateway.api.system import demo, pages
from gateway.hot_path.verify import VerifyEndpoint
from gateway.openapi.operation import Operation, operation_of
from gateway.pages.site import FOLDERS

OPERATIONS: Final[tuple[Operation, ...]] = tuple(map(operation_of, (VerifyEndpoint, *ENDPOINTS)))


def routes(verify: VerifyEndpoint) -> list[Route]:
    """Return the routes of a worker whose hot endpoint is `verify`."""
    return [*map(_route, (verify, *ENDPOINTS)), *_pages()]


def _route(endpoint: Any) -> Route:
    described = operation_of(endpoint)
    return Route(described.path, endpoint, methods=[described.method])


def _pages() -> list[Route]:
    """Return the pages for people and the demo's offers to them: not part of the described interface."""
    found = [Route("/v1/demo/sign-ins", demo.sign_ins, methods=["GET"], include_in_schema=False)]
    for folder in FOLDERS:
        found.append(Route(f"/{folder}", pages.to_folder, methods=["GET"], include_in_schema=False))
        found.append(Route(f"/{folder}/{{path:path}}", pages.page, methods=["GET"], include_in_schema=False))
    found.append(Route("/", pages.page, methods=["GET"], include_in_schema=False))
    for path in ("/assets/{path:path}", "/first.js", "/mark.svg"):
        found.append(Route(path, pages.asset, methods=["GET"], include_in_schema=False))
    return found
