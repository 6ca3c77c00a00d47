"""What callers sent and heard, held against the ledger: I3, I4, I5 and I11. It imports nothing of the product.

`Journal.judge` answers with sentences; an empty list means that everything holds. Only for a drained ledger:
`until_drained` first. What both stores hold is judged by `loadtest.auditor.find_violations`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from loadtest import layout
from loadtest.auditor import is_drained
from tests.support.suite.waiting import wait_until

HotClient = Any
Connection = Any  # an asyncpg connection, or one that a pool lends
DRAIN_SECONDS = 30.0


async def until_drained(hot: HotClient, ledger: Connection, seconds: float = DRAIN_SECONDS) -> None:
    """Wait until the ledger has every entry."""
    await wait_until("the ledger has every entry", lambda: is_drained(hot, ledger), seconds=seconds)


@dataclass
class Intent:
    """One request that will be sent, and what became of it. `points` is the whole basket's."""

    terminal_id: str
    key: str
    member_id: str
    code: str
    points: int
    outcome: Literal["unknown", "applied", "not_applied"] = "unknown"
    redemption_id: str | None = None


@dataclass
class Journal:
    """Written before a request is sent and after it was answered; what was never answered stays `unknown`."""

    intents: dict[tuple[str, str], Intent] = field(default_factory=dict)

    def intend(self, intent: Intent) -> Intent:
        """Notes what is about to be sent."""
        assert (intent.terminal_id, intent.key) not in self.intents
        self.intents[intent.terminal_id, intent.key] = intent
        return intent

    def heard(self, intent: Intent, status: int, body: Mapping[str, Any]) -> None:
        """Notes an answer. Only an error that says so leaves the outcome unknown."""
        if status == 201:
            if intent.redemption_id not in (None, body["redemption_id"]):
                raise AssertionError(f"{intent} was answered before, and now with {body['redemption_id']}")
            intent.outcome, intent.redemption_id = "applied", body["redemption_id"]
        elif body["outcome"] == "not_applied":
            assert intent.outcome != "applied", f"{intent} was acknowledged, and now {body['code']}"
            intent.outcome = "not_applied"
        else:
            assert status >= 500, f"{status} says {body['outcome']}"

    def count(self, outcome: str) -> int:
        """How many intents have this outcome."""
        return sum(intent.outcome == outcome for intent in self.intents.values())

    def unknown(self) -> list[Intent]:
        """Intents nobody knows the outcome of."""
        return [intent for intent in self.intents.values() if intent.outcome == "unknown"]

    async def judge(self, ledger: Connection) -> list[str]:
        """I3, I4, I5 and I11 against the ledger's transactions and amounts."""
        by_key: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in await ledger.fetch(layout.REDEMPTIONS):
            by_key[row["terminal"], row["idempotency_key"]].append(row)
        wrong, uses = [], defaultdict(list)
        for intent in self.intents.values():
            rows = by_key.get((intent.terminal_id, intent.key), [])
            wrong.extend(_misjudged(intent, rows))
            if rows:
                uses[intent.code].append(intent.key)
        wrong.extend(f"I11: one code, {len(keys)} redemptions: {keys}" for keys in uses.values() if len(keys) > 1)
        members = {intent.member_id for intent in self.intents.values()}
        wrong.extend(
            f"nobody asked for {rows[0]['subject_id']} of {rows[0]['member_id']}"
            for name, rows in by_key.items()
            if name not in self.intents and rows[0]["member_id"] in members
        )
        return wrong


def _misjudged(intent: Intent, rows: list[Any]) -> list[str]:
    wrong = []
    if len(rows) > 1:
        wrong.append(f"I3: {intent} has {len(rows)} transactions")
    if intent.outcome == "applied" and [row["subject_id"] for row in rows] != [intent.redemption_id]:
        wrong.append(f"I3: {intent} was acknowledged, the ledger has {rows}")
    if intent.outcome == "not_applied" and rows:
        wrong.append(f"I4: {intent} was refused, the ledger has {rows}")
    wrong.extend(
        f"{intent}: the ledger took {row['points']} of {row['member_id']}"
        for row in rows
        if (row["points"], row["member_id"]) != (intent.points, intent.member_id)
    )
    return wrong
