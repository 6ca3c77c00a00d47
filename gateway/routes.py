"""Every path of the gateway in one table. The hot one stands first, so that the router finds it first."""

from starlette.routing import Route

from gateway.endpoints import accruals, codes, health, me, prepare, redemptions, reference
from gateway.verify import VerifyEndpoint


def routes(verify: VerifyEndpoint) -> list[Route]:
    """The routes of a worker whose hot endpoint is `verify`."""
    return [
        Route("/v1/verify", verify, methods=["POST"]),
        Route("/v1/prepare", prepare.prepare, methods=["POST"]),
        Route("/v1/cancel", redemptions.cancel, methods=["POST"]),
        Route("/v1/redemptions", redemptions.list_redemptions, methods=["GET"]),
        Route("/v1/redemptions/{redemption_id}", redemptions.read_redemption, methods=["GET"]),
        Route("/v1/redemptions/{redemption_id}/capture", redemptions.capture_redemption, methods=["POST"]),
        Route("/v1/redemptions/{redemption_id}/void", redemptions.void_redemption, methods=["POST"]),
        Route("/v1/redemptions/{redemption_id}/refund", redemptions.refund_redemption, methods=["POST"]),
        Route("/v1/accruals", accruals.accrue, methods=["POST"]),
        Route("/v1/accruals/{accrual_id}/reverse", accruals.reverse_accrual, methods=["POST"]),
        Route("/v1/me/codes", codes.issue_codes, methods=["POST"]),
        Route("/v1/me", me.read_me, methods=["GET"]),
        Route("/v1/me/benefits", me.read_benefits, methods=["GET"]),
        Route("/healthz", health.healthz, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
        Route("/.well-known/jwks.json", health.jwks, methods=["GET"]),
        Route("/openapi.json", reference.openapi, methods=["GET"]),
        Route("/docs", reference.docs, methods=["GET"]),
    ]
