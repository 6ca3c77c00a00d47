"""People and places of a load test.

A generated group and its first member are loaded by the product; there are copies of that member, and keys for the
terminals.

Members are numbered from FIRST_MEMBER up; each has three lots of points of three businesses and two benefits (or what
the caller asks for). Rate limits stay on; they are set so high that a load test is not refused for being one.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
from redis import Redis

from loadtest.stack import Stack, StackFailed
from tokens import api_keys

FIRST_MEMBER: Final = 1_000_000
BUSINESSES: Final = 8
OUTLETS_PER_BUSINESS: Final = 4
TERMINALS_PER_OUTLET: Final = 4
RATE_MAX: Final = 1_000_000
COPIED_AT_ONCE: Final = 5_000
COPIED: Final = """
INSERT INTO member (member_number, member_id, tier_id, display_name, opened_at)
SELECT made.number, made.id, first.tier_id, first.display_name, first.opened_at
FROM unnest($1::integer[], $2::text[]) AS made (number, id), member AS first WHERE first.member_number = $3
"""
POINTS_PER_LOT: Final = 1_000_000_000
ENVIRONMENT: Final = "dev"
BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Terminal:
    """A till of the generated group and its key."""

    terminal_id: str
    business: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Population:
    """The members that a load test scans, and where."""

    terminals: tuple[Terminal, ...]
    first_member: int
    members: int


def member_id(number: int) -> str:
    """A member's public id (seven characters of Crockford's base 32)."""
    characters = ""
    for _ in range(7):
        characters = BASE32[number & 31] + characters
        number >>= 5
    return f"mem_{characters}"


def _businesses() -> list[dict[str, Any]]:
    return [
        {
            "id": f"load-{business}",
            "name": {"en": f"Load {business}"},
            "currency": "CNY",
            "outlets": [
                {
                    "id": f"out_load_{business}_{outlet}",
                    "name": {"en": f"Outlet {outlet}"},
                    "terminals": [
                        {"id": f"trm_load_{business}_{outlet}_{terminal}", "name": f"Till {terminal}"}
                        for terminal in range(TERMINALS_PER_OUTLET)
                    ],
                }
                for outlet in range(OUTLETS_PER_BUSINESS)
            ],
        }
        for business in range(BUSINESSES)
    ]


def item_ids(count: int) -> list[str]:
    """Return the first benefits that are things (a coffee); a member has one less than `populate` was given."""
    return ["load-item", *(f"load-item-{number}" for number in range(2, count + 1))][:count]


def group_text(*, lots: int = 3, benefits: int = 2) -> str:
    """Return a group file with one member, the first."""
    points = [
        {
            "business": f"load-{lot % BUSINESSES}",
            "points": POINTS_PER_LOT,
            "expires_in_months": 1 + lot // BUSINESSES,
        }
        for lot in range(lots)
    ]
    grants = [
        {"benefit": "load-percent", "uses": 1_000_000, "expires_in_months": 2},
        *({"benefit": item, "uses": 1_000_000, "expires_in_months": 3} for item in item_ids(benefits - 1)),
    ]
    member = {"number": FIRST_MEMBER, "name": "測試員", "tier": "load", "points": points}
    group = {
        "time_zone": "Asia/Shanghai",
        "policy": {
            "terminal_rate": RATE_MAX,
            "outlet_rate": RATE_MAX,
            "member_rate": RATE_MAX,
            "office_rate": RATE_MAX,
        },
        "tiers": [{"id": "load", "rank": 90, "name": {"en": "Load"}, "rules": {"earn_percent": 100}}],
        "benefits": {
            "load-percent": {
                "name": {"en": "10 % off"},
                "granted_by": "load-0",
                "discount": {"kind": "percent_off", "percent": 10, "maximum_minor": 5_000},
            },
            **{
                item: {
                    "name": {"en": "A coffee"},
                    "granted_by": "load-1",
                    "discount": {"kind": "item", "value_minor": 100},
                }
                for item in item_ids(max(1, benefits - 1))
            },
        },
        "businesses": _businesses(),
        "members": [member | ({"benefits": grants} if benefits else {})],
    }
    return json.dumps(group)  # JSON is YAML too


def populate(stack: Stack, folder: Path, members: int, *, lots: int = 3, benefits: int = 2) -> Population:
    """Make this many members, each with lots of points and benefits, and a key for every terminal.

    The first member is loaded by `tong load`; the others are copies (`_copy`), because a million would take an hour
    that way.
    """
    path = folder / "group.yaml"
    path.write_text(group_text(lots=lots, benefits=benefits))
    with stack.writer_stopped():  # the writer would remove the entry that is to be copied from the stream
        stack.run("load", str(path))
        first = asyncio.run(_loaded(stack))
    path.unlink()
    asyncio.run(_copy(stack, first, members - 1))
    return Population(asyncio.run(_terminals(stack.postgres_dsn)), FIRST_MEMBER, members)


@dataclass(frozen=True)
class _Loaded:
    """The state that loading leaves of a member in the hot store."""

    buckets: int
    state: dict[bytes, bytes]
    lots: dict[bytes, bytes]
    opening: dict[bytes, bytes]


async def _loaded(stack: Stack) -> _Loaded:
    """Return the state of the first member. Raises StackFailed where its opening balance is not in the stream."""
    ledger = await asyncpg.connect(stack.postgres_dsn)
    try:
        buckets = await ledger.fetchval("SELECT buckets FROM installation")
    finally:
        await ledger.close()
    name, tag = member_id(FIRST_MEMBER), f"{{b{FIRST_MEMBER % buckets}}}"
    with Redis.from_url(stack.valkey_url) as client:
        hot: Any = client
        for _, fields in hot.xrevrange(f"{tag}:ledger"):
            if any(f"\n{name}\n".encode() in text for text in fields.values()):
                return _Loaded(buckets, hot.hgetall(f"{tag}:member:{name}"), hot.hgetall(f"{tag}:lots:{name}"), fields)
    raise StackFailed(f"the opening balance of {name} is not in its stream")


async def _copy(stack: Stack, first: _Loaded, count: int) -> None:
    """Copy members after the first, as loading leaves them.

    Each has a row, the state, the lots, and the opening balance in the stream, from where the ledger writer takes it as
    any other. The mark against a second opening is left out.
    """
    own = member_id(FIRST_MEMBER).removeprefix("mem_").encode()
    ledger = await asyncpg.connect(stack.postgres_dsn)
    try:
        with Redis.from_url(stack.valkey_url) as hot:
            for start in range(FIRST_MEMBER + 1, FIRST_MEMBER + 1 + count, COPIED_AT_ONCE):
                numbers = range(start, min(start + COPIED_AT_ONCE, FIRST_MEMBER + 1 + count))
                await ledger.execute(COPIED, list(numbers), [member_id(number) for number in numbers], FIRST_MEMBER)
                pipeline: Any = hot.pipeline(transaction=False)
                for number in numbers:
                    name, tag = member_id(number), f"{{b{number % first.buckets}}}"
                    its = name.removeprefix("mem_").encode()
                    pipeline.hset(f"{tag}:member:{name}", mapping=first.state)
                    pipeline.hset(f"{tag}:lots:{name}", mapping=first.lots)
                    pipeline.xadd(
                        f"{tag}:ledger", {part: text.replace(own, its) for part, text in first.opening.items()}
                    )
                pipeline.execute()
    finally:
        await ledger.close()


async def _terminals(dsn: str) -> tuple[Terminal, ...]:
    """Store a fresh key for each terminal of the generated group, by its hash as `tong keys create` does."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT terminal_id, business_id FROM terminal JOIN outlet USING (outlet_id) "
            "WHERE terminal_id LIKE 'trm\\_load\\_%' ORDER BY terminal_id"
        )
        minted = [(row, api_keys.mint(api_keys.KeyKind.TERMINAL, ENVIRONMENT)) for row in rows]
        await connection.copy_records_to_table(
            "api_key",
            records=[(key.key_id, "terminal", row["terminal_id"], api_keys.fingerprint(key)) for row, key in minted],
            columns=["key_id", "kind", "terminal_id", "fingerprint"],
        )
    finally:
        await connection.close()
    await asyncio.sleep(1.5)  # every worker reads the configuration anew within a second
    return tuple(Terminal(row["terminal_id"], row["business_id"], key.text) for row, key in minted)
