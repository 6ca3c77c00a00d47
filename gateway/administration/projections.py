"""The work of `tong projections …`."""

from collections.abc import Sequence

from gateway.formats.printing import say, table
from gateway.settings import Settings
from redemption.database import open_pool
from redemption.projections.projector import Projector
from redemption.projections.registered import registered_projections
from redemption.projections.status import ProjectionStatus, read_status
from redemption.projections.status import begin as begin_projection


async def status(settings: Settings) -> list[ProjectionStatus]:
    """Return the status of every projection."""
    async with await open_pool(settings.ledger(), size=1, name="tong-projections") as pool:
        return await read_status(pool)


async def feed(settings: Settings) -> int:
    """Feed every projection with what the ledger has now. Returns the number of ledger transactions read."""
    async with await open_pool(settings.ledger(), size=2, name="tong-projections") as pool:
        return await Projector(pool, registered_projections()).run(say)


async def begin(settings: Settings, name: str) -> bool:
    """Begin a projection with what is in the ledger. Returns False where it does not wait for that."""
    async with await open_pool(settings.ledger(), size=1, name="tong-projections") as pool:
        return await begin_projection(pool, name)


def status_lines(found: Sequence[ProjectionStatus]) -> list[str]:
    """Return a header and a line for each projection."""
    rows = [
        (
            each.name,
            "not begun" if each.begun_at is None else "running" if each.stopped_at is None else "stopped",
            str(each.buckets_behind),
            f"{each.lag_seconds:.0f}",
            "" if each.complete_from is None else f"{each.complete_from:%Y-%m}",
            "" if each.stopped_at is None else f"since {each.stopped_at:%F %T}: {each.stopped_because}",
        )
        for each in found
    ]
    return table(("projection", "state", "buckets behind", "lag (s)", "complete from", "because"), rows)
