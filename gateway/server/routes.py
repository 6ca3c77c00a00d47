"""Every path of the gateway in one table. Those asked most stand first: the router looks at one route after the
other, a microsecond each.
"""

from starlette.routing import Route

from gateway.api.accruals import endpoints as accruals
from gateway.api.members import codes, devices, events
from gateway.api.members import endpoints as me
from gateway.api.redemptions import endpoints as redemptions
from gateway.api.redemptions import lists as redemption_lists
from gateway.api.redemptions import prepare
from gateway.api.settlement.routes import settlement_routes
from gateway.api.statistics import endpoints as ops
from gateway.api.system import demo, group, health, pages, reference, terminal
from gateway.hot_path.verify import VerifyEndpoint
from gateway.pages.site import FOLDERS


def routes(verify: VerifyEndpoint) -> list[Route]:
    """The routes of a worker whose hot endpoint is `verify`."""
    return [
        Route("/v1/verify", verify, methods=["POST"]),
        Route("/v1/me/codes", codes.issue_codes, methods=["POST"]),
        Route("/v1/prepare", prepare.prepare, methods=["POST"]),
        Route("/v1/cancel", redemptions.cancel, methods=["POST"]),
        Route("/v1/redemptions", redemption_lists.list_redemptions, methods=["GET"]),
        Route("/v1/redemptions/search", redemption_lists.search_redemptions, methods=["POST"]),
        Route("/v1/redemptions/{redemption_id}", redemptions.read_redemption, methods=["GET"]),
        Route("/v1/redemptions/{redemption_id}/capture", redemptions.capture_redemption, methods=["POST"]),
        Route("/v1/redemptions/{redemption_id}/void", redemptions.void_redemption, methods=["POST"]),
        Route("/v1/redemptions/{redemption_id}/refund", redemptions.refund_redemption, methods=["POST"]),
        Route("/v1/accruals", accruals.accrue, methods=["POST"]),
        Route("/v1/accruals/{accrual_id}/reverse", accruals.reverse_accrual, methods=["POST"]),
        Route("/v1/me", me.read_me, methods=["GET"]),
        Route("/v1/me/benefits", me.read_benefits, methods=["GET"]),
        Route("/v1/me/activity", events.activity, methods=["GET"]),
        Route("/v1/me/events", events.events, methods=["GET"]),
        Route("/v1/me/devices", devices.enrol_device, methods=["POST"]),
        Route("/v1/me/devices", devices.list_devices, methods=["GET"]),
        Route("/v1/me/devices/{device_id}", devices.revoke_device, methods=["DELETE"]),
        Route("/v1/ops/events", ops.events, methods=["GET"]),
        Route("/v1/ops/snapshot", ops.read_snapshot, methods=["GET"]),
        Route("/v1/ops/series", ops.read_series, methods=["GET"]),
        Route("/v1/ops/refusals", ops.read_refusals, methods=["GET"]),
        Route("/v1/terminal", terminal.read_terminal, methods=["GET"]),
        Route("/v1/group", group.read_group, methods=["GET"]),
        Route("/healthz", health.healthz, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
        Route("/.well-known/jwks.json", health.jwks, methods=["GET"]),
        Route("/openapi.json", reference.openapi, methods=["GET"]),
        Route("/docs", reference.docs, methods=["GET"]),
        *settlement_routes(),
        *_pages(),
    ]


def _pages() -> list[Route]:
    """The pages for people and what the demo offers them: not part of the described interface."""
    found = [Route("/v1/demo/sign-ins", demo.sign_ins, methods=["GET"], include_in_schema=False)]
    for folder in FOLDERS:
        found.append(Route(f"/{folder}", pages.to_folder, methods=["GET"], include_in_schema=False))
        found.append(Route(f"/{folder}/{{path:path}}", pages.page, methods=["GET"], include_in_schema=False))
    found.append(Route("/", pages.page, methods=["GET"], include_in_schema=False))
    for path in ("/assets/{path:path}", "/first.js", "/mark.svg"):
        found.append(Route(path, pages.asset, methods=["GET"], include_in_schema=False))
    return found
