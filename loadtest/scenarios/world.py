"""The shared state of scenarios: tills and members, codes for them, and a journal of acknowledged redemptions.

The world comes in a file of its own (mode 0600, it has keys) named by TONG_LOAD_WORLD; `python -m loadtest` writes it.
"""

import json
import os
import random
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from loadtest.population import ENVIRONMENT, Terminal, member_id
from tokens.claims import SLOT_SECONDS
from tokens.codec import CodeIssuer
from tokens.development_issuer import DevelopmentIssuer
from tokens.keyring import KeyRing

WORLD_VARIABLE: Final = "TONG_LOAD_WORLD"
TOKEN_SECONDS: Final = 7_200


@dataclass(frozen=True)
class World:
    """A load test's surroundings.

    `seconds` is how long it takes, `users` how many there are at noon, `notice_seconds` how soon after a scan began its
    member has to receive the notice.
    """

    run: str
    home: str
    issuer: str
    audience: str
    first_member: int
    members: int
    users: int
    seconds: int
    notice_seconds: float
    results: str
    terminals: tuple[Terminal, ...] = field(repr=False)

    def write(self, path: Path) -> None:
        """Write it where only the owner reads."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


class Players:
    """A maker of keys, bills and codes for the scenarios, which remembers what the gateway acknowledged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = random.Random()
        self.acknowledged: list[tuple[str, str]] = []
        self._numbers = count(1)
        self._listeners = count()
        self._codes = CodeIssuer(KeyRing.load(Path(world.home, "code-keys.json"), ENVIRONMENT), "HS256", time.time)
        self._tokens = DevelopmentIssuer(Path(world.home, "identity"), world.issuer, world.audience, time.time)

    def member(self) -> int:
        """Return a random member of today."""
        return self.world.first_member + self.chance.randrange(self.world.members)

    def listening_member(self) -> int:
        """Return the next of the members, so that no two streams share one as long as there are members enough."""
        return self.world.first_member + next(self._listeners) % self.world.members

    def terminal(self) -> Terminal:
        """Return a random till."""
        return self.chance.choice(self.world.terminals)

    def code(self, member: int) -> str:
        """Return what the member's phone shows at this moment."""
        return self._codes.issue(member, int(time.time()) // SLOT_SECONDS).code

    def access_token(self, member: int) -> str:
        """Return the member's access token."""
        return self._tokens.access_token(member_id(member), TOKEN_SECONDS)

    def key(self) -> str:
        """Return a fresh Idempotency-Key of this run."""
        return f"{self.world.run}-{next(self._numbers)}"

    def bill(self) -> dict[str, Any]:
        """Return a bill that nobody else has."""
        number = next(self._numbers)
        return {"reference": f"POS-{number}", "amount_minor": 2_000 + number, "currency": "CNY"}

    def acknowledge(self, key: str, redemption_id: str) -> None:
        """Note a redemption that has to be in the ledger."""
        self.acknowledged.append((key, redemption_id))


@cache
def players() -> Players:
    """Return the players of this process, from the file that TONG_LOAD_WORLD names."""
    content = json.loads(Path(os.environ[WORLD_VARIABLE]).read_text())
    content["terminals"] = tuple(Terminal(**terminal) for terminal in content["terminals"])
    return Players(World(**content))
