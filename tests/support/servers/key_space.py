"""The hot store's key space as the table in redemption/hot/keys.py declares it, and keys that break it."""

import re
from dataclasses import dataclass
from typing import Any

from redemption.hot import keys

_ROW = re.compile(r"^    (\S+)\s+(string|hash|stream|set|zset|list)\s+.*?(kept|ttl)(, trimmed)?$", re.MULTILINE)


@dataclass(frozen=True)
class KeyRow:
    """One row of the table."""

    spelling: str
    pattern: re.Pattern[str]
    kind: str
    kept: bool


def declared_keys() -> list[KeyRow]:
    """The rows of the table in the docstring of redemption.hot.keys."""
    rows = []
    for spelling, kind, life, _ in _ROW.findall(keys.__doc__ or ""):
        pattern = re.escape(spelling).replace(r"\{bN\}", r"\{b\d+\}")
        pattern = re.sub(r"<\w+>", "[^:]+", pattern)
        if spelling.endswith(":<k>"):  # a caller's own key may have a colon in it
            pattern = pattern.removesuffix("[^:]+") + "[!-~]+"
        rows.append(KeyRow(spelling, re.compile(pattern), kind, life == "kept"))
    return rows


async def lasting_keys_not_allowed(hot: Any) -> list[str]:
    """Keys that are in no row, of another type than their row says, or without TTL though their row wants one."""
    rows, wrong = declared_keys(), []
    names = [name async for name in hot.scan_iter(count=5000)]
    pipeline = hot.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
        pipeline.type(name)
    told = await pipeline.execute()
    for name, ttl, kind in zip(names, told[::2], told[1::2], strict=True):
        row = next((row for row in rows if row.pattern.fullmatch(name.decode())), None)
        if row is None:
            wrong.append(f"{name.decode()} is in no row of redemption/hot/keys.py")
        elif kind == b"none":
            continue  # its time ran out between the two looks, which is what a TTL is for
        elif row.kind != kind.decode():
            wrong.append(f"{name.decode()} is a {kind.decode()}, not a {row.kind}")
        elif ttl == -1 and not row.kept:
            wrong.append(f"{name.decode()} is kept for ever, {row.spelling} must have a TTL")
    return wrong
