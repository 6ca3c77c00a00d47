"""The projections of this version, each registered by a migration too (redemption/migrations/0012_projections.sql)."""

from redemption.projections.projection import Projection
from redemption.settlement.production import SettlementLines


def registered_projections() -> tuple[Projection, ...]:
    """Return a fresh instance of every projection."""
    return (SettlementLines(),)
