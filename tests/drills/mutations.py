"""Mutated builds: each has one safeguard taken out, and has to fail the drill that is meant for it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.drills.builds import Changes, build
from tests.drills.drill import Drill
from tests.drills.faults.disks import PowerCut
from tests.drills.faults.kills import WriterKilled
from tests.drills.faults.network import RepliesDropped
from tests.mutations import MUTATIONS

_IN_THE_TRANSACTION = """                await self.write(session, items, watermarks)
                await self.advance(session, moved)
"""
_APART = """                await self.write(session, items, watermarks)
            await asyncio.sleep(1.0)  # a moment that three kills do not miss
            await self.advance(session, moved)
"""


def _lua(guard: str) -> Changes:
    """A mutation of the functions, as tests/mutations.py has it."""
    (found,) = [mutation for mutation in MUTATIONS if mutation.guard == guard]
    return {f"redemption/hot/functions/{name}.lua": pairs for name, pairs in found.changes.items()}


@dataclass(frozen=True)
class Mutated:
    """What is taken out, from which files, and the drill that has to fail without it."""

    name: str
    changes: Changes
    drill: type[Drill]
    appendfsync: str = "always"

    def build(self, seed: int) -> Drill:
        """The drill on the mutated build. It is given less time: it is expected to come to no rest."""
        mutated = self

        class OnMutatedBuild(self.drill):  # type: ignore[name-defined,misc]
            name = f"{mutated.drill.name}-mutated"
            appendfsync = mutated.appendfsync
            resolve_seconds = 10.0
            rest_seconds = 20.0

            async def prepare(self, owned: AsyncExitStack) -> dict[str, str]:
                environment: dict[str, str] = await super().prepare(owned)
                return environment | {"PYTHONPATH": str(owned.enter_context(build(mutated.changes)))}

        drill: Drill = OnMutatedBuild(seed)
        return drill


MUTATED = (
    Mutated("idempotency check out of the function", _lua("redeem: idempotency check"), RepliesDropped),
    Mutated(
        "watermark not in the transaction of its rows",
        {"redemption/ledger/store.py": [(_IN_THE_TRANSACTION, _APART)]},
        WriterKilled,
    ),
    Mutated("appendfsync everysec", {}, PowerCut, appendfsync="everysec"),
)
