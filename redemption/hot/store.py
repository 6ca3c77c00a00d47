"""The hot store as the rest of the product sees it: the functions of the library, called by name with named arguments.

Guarantees: every call is one round trip and is never repeated. A fault says what is known: `NotSent` (surely nothing
happened), `ReplyLost` (unknown: the same key resolves it) or `ServerRefused`. A call whose names are not exactly those
of the Lua file's contract raises TypeError before anything is sent.
"""

from typing import Any, Protocol

from redemption.hot.library import Library

Value = str | int | bytes


class Executes(Protocol):
    """The calls that the store needs of a connection (redemption/hot/connection.py)."""

    async def execute(self, *args: bytes | str | int, deadline_seconds: float) -> Any: ...


class HotStore:
    """Calls of the function library over one multiplexed connection."""

    def __init__(self, connection: Executes, library: Library) -> None:
        self._connection = connection
        self._library = library
        self._redeem = library.function("redeem")
        self._names = {
            name: (library.function(name), len(contract.keys), (*contract.keys, *contract.args), contract.read_only)
            for name, contract in library.functions.items()
        }

    async def call(self, function: str, *, deadline_seconds: float, **named: Value) -> list[Any]:
        """Call functions/<function>.lua with its keys and arguments by their names; return its reply, as the file
        describes."""
        registered, key_count, names, read_only = self._names[function]
        if named.keys() != set(names):
            raise TypeError(f"{function}: {sorted(named.keys() ^ set(names))}")
        reply = await self._connection.execute(
            "FCALL_RO" if read_only else "FCALL",
            registered,
            key_count,
            *(named[name] for name in names),
            deadline_seconds=deadline_seconds,
        )
        assert isinstance(reply, list)
        return reply

    async def redeem(
        self,
        *,
        idempotency: str,
        member: str,
        lots: str,
        code: str,
        redemption: str,
        ledger: str,
        holds: str,
        recent: str,
        guess_terminal: str,
        guess_outlet: str,
        redemption_id: str,
        fingerprint: str,
        verdict: str,
        member_id: str,
        till: str,
        marker: str,
        code_time: int,
        hold_seconds: int,
        confirmed: int,
        digest: str,
        uses: str,
        stay: str,
        place: bytes,
        basket: bytes,
        restore: bytes,
        legs: str,
        deadline_seconds: float,
    ) -> list[Any]:
        """Call functions/redeem.lua. Written out beside `call`, for speed (`python -m tests.measure_path`)."""
        reply = await self._connection.execute(
            "FCALL",
            self._redeem,
            10,
            idempotency,
            member,
            lots,
            code,
            redemption,
            ledger,
            holds,
            recent,
            guess_terminal,
            guess_outlet,
            redemption_id,
            fingerprint,
            verdict,
            member_id,
            till,
            marker,
            code_time,
            hold_seconds,
            confirmed,
            digest,
            uses,
            stay,
            place,
            basket,
            restore,
            legs,
            deadline_seconds=deadline_seconds,
        )
        assert isinstance(reply, list)
        return reply

    async def read(self, *, key: str, deadline_seconds: float) -> bytes | None:
        """Return the text behind a key; None where there is none."""
        reply = await self._connection.execute("GET", key, deadline_seconds=deadline_seconds)
        assert reply is None or isinstance(reply, bytes)
        return reply

    async def read_many(self, *names: str, deadline_seconds: float) -> list[bytes | None]:
        """Return the texts behind keys of one bucket, as of one moment."""
        reply = await self._connection.execute("MGET", *names, deadline_seconds=deadline_seconds)
        assert isinstance(reply, list)
        return reply

    async def read_fields(self, *, key: str, deadline_seconds: float) -> list[bytes]:
        """Return field, value, … of a hash; nothing where the hash is missing."""
        reply = await self._connection.execute("HGETALL", key, deadline_seconds=deadline_seconds)
        assert isinstance(reply, list)
        return reply

    async def entries_after(
        self, *, stream: str, after: str, count: int, deadline_seconds: float
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Read at most `count` entries of a stream behind the id `after`: id and fields, in order."""
        reply = await self._connection.execute(
            "XRANGE", stream, f"({after}", "+", "COUNT", count, deadline_seconds=deadline_seconds
        )
        assert isinstance(reply, list)
        return [(entry[0], dict(zip(entry[1][::2], entry[1][1::2], strict=True))) for entry in reply]
