"""The hot store as the rest of the product sees it: one method per function, named keys and arguments.

Guarantees: every method is one round trip to one bucket and never retries. A fault says what is known: `NotSent`
(surely nothing happened), `ReplyLost` (unknown: the same key resolves it) or `ServerRefused`.

The names of the keyword arguments are the contract of the Lua files; a test holds the two together.
"""

from typing import Any, Protocol

from redemption.hot.library import Library


class Executes(Protocol):
    """What the store needs of a connection (redemption/hot/connection.py)."""

    async def execute(self, *args: bytes | str | int, deadline_seconds: float) -> Any: ...


class HotStore:
    """Calls of the function library over one multiplexed connection."""

    def __init__(self, connection: Executes, library: Library) -> None:
        self._connection = connection
        self._redeem = library.function("redeem")
        self._issue = library.function("issue")
        self._enrol = library.function("enrol")
        self._look = library.function("look")
        self._free = library.function("free")

    async def redeem(
        self,
        *,
        idempotency: str,
        member: str,
        lots: str,
        code: str,
        redemption: str,
        ledger: str,
        redemption_id: str,
        fingerprint: str,
        verdict: int,
        verdict_leg: int,
        verdict_asked: int,
        verdict_available: int,
        member_id: str,
        marker: str,
        code_time: int,
        utc_offset: int,
        context: bytes,
        legs: str,
        deadline_seconds: float,
    ) -> list[Any]:
        """functions/redeem.lua: `[redemption_id, outcome, replayed, leg, asked, available, record?]`."""
        reply = await self._connection.execute(
            "FCALL", self._redeem, 6,
            idempotency, member, lots, code, redemption, ledger,
            redemption_id, fingerprint, verdict, verdict_leg, verdict_asked, verdict_available, member_id, marker,
            code_time, utc_offset, context, legs,
            deadline_seconds=deadline_seconds,
        )  # fmt: skip
        assert isinstance(reply, list)
        return reply

    async def issue(
        self,
        *,
        issued: str,
        lots: str,
        ledger: str,
        issue_id: str,
        member_id: str,
        context: bytes,
        lots_text: str,
        deadline_seconds: float,
    ) -> list[Any]:
        """functions/issue.lua: `[issue_id, outcome, replayed]`."""
        reply = await self._connection.execute(
            "FCALL", self._issue, 3, issued, lots, ledger, issue_id, member_id, context, lots_text,
            deadline_seconds=deadline_seconds,
        )  # fmt: skip
        assert isinstance(reply, list)
        return reply

    async def enrol(self, *, member: str, tier: str, name: str, status: str, deadline_seconds: float) -> bool:
        """functions/enrol.lua: True when the member is new here."""
        reply = await self._connection.execute(
            "FCALL", self._enrol, 1, member, tier, name, status, deadline_seconds=deadline_seconds
        )
        assert isinstance(reply, list)
        return bool(reply[0] == 1)

    async def look(self, *, member: str, lots: str, utc_offset: int, deadline_seconds: float) -> list[Any]:
        """functions/look.lua: `[seconds, [tier, name, status], [lot, points, …]]`."""
        reply = await self._connection.execute(
            "FCALL_RO", self._look, 2, member, lots, utc_offset, deadline_seconds=deadline_seconds
        )
        assert isinstance(reply, list)
        return reply

    async def read_redemption(self, *, redemption: str, deadline_seconds: float) -> list[bytes]:
        """The record's `field, value, …`; empty when there is none."""
        reply = await self._connection.execute("HGETALL", redemption, deadline_seconds=deadline_seconds)
        assert isinstance(reply, list)
        return reply

    async def free_slot(self, *, slots: list[str], deadline_seconds: float) -> int:
        """functions/free.lua: position of the first unused code slot among these keys of one bucket, or -1."""
        reply = await self._connection.execute(
            "FCALL_RO", self._free, len(slots), *slots, deadline_seconds=deadline_seconds
        )
        assert isinstance(reply, int)
        return reply
