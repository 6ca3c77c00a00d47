"""The projections of this version, each registered by a migration too (`projection_register`)."""

from redemption.projections.projection import Projection
from redemption.projections.purchases import MemberPurchases
from redemption.settlement.production import SettlementLines


def registered_projections() -> tuple[Projection, ...]:
    """Return a fresh instance of every projection."""
    return SettlementLines(), MemberPurchases()
