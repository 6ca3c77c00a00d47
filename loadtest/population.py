"""The people and places of a load test: a generated group, loaded the product's own way, and keys for its terminals.

Members are numbered from FIRST_MEMBER up; each has three lots of points of three businesses and two benefits (or what
the caller asks for). Rate limits stay on; they are set so high that a load test is not refused for being one.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from loadtest.stack import Stack
from tokens import api_keys

FIRST_MEMBER: Final = 1_000_000
BUSINESSES: Final = 8
OUTLETS_PER_BUSINESS: Final = 4
TERMINALS_PER_OUTLET: Final = 4
RATE_MAX: Final = 1_000_000
MEMBERS_PER_FILE: Final = 100_000
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
    """Whom a load test scans, and where."""

    terminals: tuple[Terminal, ...]
    first_member: int
    members: int


def member_id(number: int) -> str:
    """A member's public id (contract.md: seven characters of Crockford's base 32)."""
    characters = ""
    for _ in range(7):
        characters = BASE32[number & 31] + characters
        number >>= 5
    return f"mem_{characters}"


def member_number(identifier: str) -> int:
    """The number behind such an id."""
    number = 0
    for character in identifier.removeprefix("mem_"):
        number = number * 32 + BASE32.index(character)
    return number


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
    """The first so many benefits that are things (a coffee); a member has one less than `populate` was asked for."""
    return ["load-item", *(f"load-item-{number}" for number in range(2, count + 1))][:count]


def group_text(first: int, count: int, *, lots: int = 3, benefits: int = 2) -> str:
    """A group file. Lots and benefits are YAML anchors, so that 100 000 members stay a file of a few megabytes."""
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
    head = {
        "time_zone": "Asia/Shanghai",
        "policy": {"terminal_rate": RATE_MAX, "outlet_rate": RATE_MAX, "member_rate": RATE_MAX},
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
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in head.items()]
    anchored = f"points: &p {json.dumps(points)}" + (f", benefits: &b {json.dumps(grants)}" if benefits else "")
    alias = "points: *p" + (", benefits: *b" if benefits else "")
    lines.append("members:")
    for number in range(first, first + count):
        held = anchored if number == first else alias
        lines.append(f"- {{number: {number}, name: 測試員, tier: load, {held}}}")
    return "\n".join(lines) + "\n"


def populate(stack: Stack, folder: Path, members: int, *, lots: int = 3, benefits: int = 2) -> Population:
    """Loads so many members, each with so many lots of points and benefits, and makes a key for every terminal."""
    for part, (first, count) in enumerate(_shares(members)):
        path = folder / f"group-{part}.yaml"
        path.write_text(group_text(first, count, lots=lots, benefits=benefits))
        stack.run("load", str(path))
        path.unlink()
    return Population(asyncio.run(_terminals(stack.postgres_dsn)), FIRST_MEMBER, members)


def _shares(members: int) -> Iterator[tuple[int, int]]:
    for start in range(0, members, MEMBERS_PER_FILE):
        yield FIRST_MEMBER + start, min(MEMBERS_PER_FILE, members - start)


async def _terminals(dsn: str) -> tuple[Terminal, ...]:
    """A fresh key for each terminal of the generated group, stored by its hash as `tong keys create` does."""
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
