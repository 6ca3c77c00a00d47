"""From the end of a fault to a stack at rest: unknowns resolved, deadlines over, ledger drained, rows sealed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from redis.exceptions import RedisError

from loadtest import layout
from tests.drills.history import histories, statuses
from tests.drills.journal import Entry, Record, read_journal
from tests.drills.tills import PAUSE_SECONDS, World
from tests.support.suite.waiting import wait_until

REST_SECONDS = 90.0  # a bound for a busy machine; on a quiet one nothing takes ten
SERVER_FAULTS = (RedisError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
AT_ONCE = 8
REPEATED_MAX = 60
REFUSED_REPEATED_MAX = 40
TURNED_REPEATED_MAX = 100
LOOKED_UP_MAX = 60
SOON_SECONDS = 60  # holds of a few seconds are waited for, those of a quarter of an hour stay open


async def wait_through_faults(
    name: str, condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = REST_SECONDS
) -> None:
    """Wait until a condition is true, also while servers do not answer. Raises NotInTime."""
    await wait_until(name, condition, seconds=seconds, tolerated=SERVER_FAULTS)


async def resolve(world: World, *, marks_lost: bool, seconds: float = REST_SECONDS) -> None:
    """Repeats every unknown under its key until it is known; then repeats some that are known, which must change
    nothing.

    `marks_lost`: the hot store was rebuilt, and what was refused before may not be refused by its key any more.
    """
    chance = random.Random(f"{world.seed} resolve")
    record = read_journal(world.journal.path)
    unknown = [entry for entry in record.entries.values() if entry.outcome == "unknown"]
    turned = [entry for entry in record.entries.values() if entry.outcome == "turned_away"]
    again = chance.sample(turned, min(len(turned) // 2, TURNED_REPEATED_MAX))
    deadline = time.monotonic() + seconds
    await _repeat(world, [*unknown, *again], until_known=deadline)
    record = read_journal(world.journal.path)
    with_key = [entry for entry in record.entries.values() if entry.intent.key is not None]
    applied = [entry for entry in with_key if entry.outcome == "applied"]
    refused = [] if marks_lost else [entry for entry in with_key if entry.outcome == "refused"]
    await _repeat(world, chance.sample(applied, min(len(applied), REPEATED_MAX)))
    await _repeat(world, chance.sample(refused, min(len(refused), REFUSED_REPEATED_MAX)))


async def _repeat(world: World, entries: list[Entry], *, until_known: float = 0.0) -> None:
    terminals = {terminal.terminal_id: terminal for terminal in world.terminals}
    waiting = list(entries)

    async def worker() -> None:
        async with world.client() as http:
            while waiting:
                intent = waiting.pop(0).intent
                while True:
                    answer = await world.send(http, terminals[intent.terminal_id], intent)
                    if answer is not None and answer.outcome in ("applied", "refused"):
                        break
                    if time.monotonic() > until_known:
                        break
                    await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def entries_added(hot: Any, *, without: int | None = None) -> int:
    """Entries ever added to all streams."""
    pipeline = hot.pipeline(transaction=False)
    for bucket in range(layout.BUCKETS):
        if bucket != without:
            pipeline.xinfo_stream(layout.stream(bucket))
    added = 0
    for told in await pipeline.execute(raise_on_error=False):
        if isinstance(told, RedisError) and "no such key" not in str(told):
            raise told
        added += 0 if isinstance(told, RedisError) else int(told["entries-added"])
    return added


async def rows_of_this_life(ledger: Any, *, without: int | None = None) -> int:
    """Rows of the epochs that the streams are in."""
    current = {row["bucket"]: row["epoch"] for row in await ledger.fetch(layout.WATERMARKS)}
    rows = await ledger.fetch(layout.ROWS_OF_EPOCHS)
    return sum(row["rows"] for row in rows if row["bucket"] != without and current.get(row["bucket"]) == row["epoch"])


async def until_no_hold_is_due(hot: Any, seconds: float = REST_SECONDS) -> None:
    """Every hold whose time is over, or soon will be, has ended. Raises NotInTime."""

    async def none_is_due() -> bool:
        soon_ms = ((await hot.time())[0] + SOON_SECONDS) * 1000
        pipeline = hot.pipeline(transaction=False)
        for bucket in range(layout.BUCKETS):
            pipeline.zcount(layout.holds(bucket), "-inf", soon_ms)
        return not any(await pipeline.execute())

    await wait_through_faults("every hold whose time is over has ended", none_is_due, seconds=seconds)


async def until_at_rest(hot: Any, ledger: Any, seconds: float = REST_SECONDS) -> None:
    """No deadline is over, the ledger has every entry, every row is sealed. Raises NotInTime."""

    async def drained() -> bool:
        return bool(await rows_of_this_life(ledger) >= await entries_added(hot))

    async def all_sealed() -> bool:
        of_bucket: dict[int, int] = {}
        for row in await ledger.fetch(layout.SEALS):
            of_bucket[row["bucket"]] = max(of_bucket.get(row["bucket"], 0), row["rows_sealed"])
        written = await ledger.fetch(layout.ROWS_OF_EPOCHS)
        return sum(of_bucket.values()) >= sum(int(row["rows"]) for row in written)

    await until_no_hold_is_due(hot, seconds)
    await wait_through_faults("the ledger has every entry", drained, seconds=seconds)
    await wait_through_faults("every row is sealed", all_sealed, seconds=seconds)


async def looked_up(world: World, record: Record, hot: Any) -> list[str]:
    """What callers are told over HTTP agrees: the status of redemptions, and the points of members."""
    wrong = []
    chance = random.Random(f"{world.seed} look-ups")
    terminals = {terminal.terminal_id: terminal for terminal in world.terminals}
    told = histories(record)
    of = {
        answer.subject: terminals[entry.intent.terminal_id]
        for entry in record.of_kind("verify", "hold")
        for answer in entry.answers
        if answer.outcome == "applied"
    }
    async with world.client() as http:
        for subject in chance.sample(sorted(of), min(len(of), LOOKED_UP_MAX)):
            headers = {"authorization": f"Bearer {of[subject].api_key}"}
            answer = await http.get(f"/v1/redemptions/{subject}", headers=headers)
            found = answer.json().get("status")
            if answer.status_code != 200 or found not in statuses(told[subject]):
                wrong.append(f"I3: {subject} is told as {answer.status_code} {found}, not {statuses(told[subject])}")
        for member in world.members:
            answer = await http.get("/v1/me", headers={"authorization": f"Bearer {member.access_token}"})
            lots = await hot.hgetall(layout.lots(member.bucket, member.member_id))
            points = sum(int(amount) for lot, amount in lots.items() if lot.startswith(b"points/"))
            if answer.status_code != 200 or answer.json()["balance"]["points"] != points:
                wrong.append(f"I8: {member.member_id} is told {answer.text[:200]}, the lots have {points} points")
    return wrong
