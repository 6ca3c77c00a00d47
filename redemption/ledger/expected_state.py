"""Values of a ledger replay: transactions, records under construction, and the state they lead to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from redemption.domain.contexts import basket_json, place_text, till_text
from redemption.ledger.movements import Movement


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of the ledger, as a replay needs it."""

    at_ms: int
    kind: str
    subject_id: str
    moves: tuple[Movement, ...]
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Who:
    """The member, and the parts of the group's configuration that places need."""

    member_id: str
    bucket: int
    tier: str
    name: str
    status: str
    zone: ZoneInfo
    currencies: Mapping[str, str]  # of each business
    buckets: int
    cluster: bool
    codes_valid_from: int | None = None  # seconds; of codes that were revoked by an operator


@dataclass(slots=True)
class Part:
    """The part of a redemption that came from one lot for one leg, and its later fate."""

    leg: int
    asset: str
    lot: str
    taken: int
    captured: int = 0
    refunded: int = 0


@dataclass(slots=True)
class Record:
    """A redemption's or an accrual's record under construction, and when it will be forgotten."""

    fields: dict[str, str]
    forgotten_at: float
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class ExpectedState:
    """Keys of the hot store and their expected content. `forgotten_at` is in seconds; kept keys have none."""

    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    forgotten_at: dict[str, float] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    without_key: int = 0  # applied calls whose idempotency record cannot be restored


CONTEXT_ORDER: Final = (
    *("business", "outlet", "terminal", "rules", "key", "bill", "legs", "restore"),
    *("reference", "kind", "points", "benefit_id", "uses", "amount_minor", "value_minor", "currency"),
    *("fingerprint", "code", "hold_seconds", "outlet_offset", "stay", "growth", "validity_months", "crossing_days"),
)
"""Members of a context and of its parts, in the order in which redemption/legs.py and its callers write them:
jsonb forgets the order, and answers show it."""
_RANK: Final = {name: rank for rank, name in enumerate(CONTEXT_ORDER)}


def context_text(context: Mapping[str, Any]) -> str:
    """Return the JSON that the gateway wrote, byte for byte."""
    return orjson.dumps(_ordered(context)).decode()


def place_of(context: Mapping[str, Any]) -> str:
    """Return the place of a compact context, as the gateway wrote it (redemption/domain/contexts.py)."""
    till = till_text(context["business"], context["outlet"], context["terminal"], context["rules"])
    return place_text(till, context["key"]).decode()


def basket_of(context: Mapping[str, Any]) -> str:
    """Return the basket of a compact context, as the gateway wrote it."""
    return basket_json(context.get("bill"), context.get("legs", [])).decode()


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda name: _RANK.get(name, len(_RANK)))}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def parts_of(moves: Sequence[Movement], context: Mapping[str, Any], currencies: Mapping[str, str]) -> list[Part]:
    """Return the parts of a redemption, leg by leg: the moves are in the order of the legs, each lot once for each
    leg."""
    parts: list[Part] = []
    moved = iter(moves)
    for position, leg in enumerate(context.get("legs", ())):
        left = leg["points"] if leg["kind"] == "points" else leg.get("uses", leg.get("amount_minor"))
        while left > 0:
            move = next(moved, None)
            if move is None:
                return parts
            parts.append(Part(position, move.asset, move.lot, move.amount))
            left -= move.amount
    return parts


def moved(moves: Sequence[Movement], target: str | None, source: str | None = None) -> defaultdict[str, int]:
    """Return how much of each asset went to one account, or came from one."""
    sums: defaultdict[str, int] = defaultdict(int)
    for move in moves:
        if (target is None or move.target == target) and (source is None or move.source == source):
            sums[move.asset] += move.amount
    return sums


def progress(amounts: Iterable[int]) -> str:
    """Return numbers for the parts of a record, in their order, as functions/lifecycle.lua writes them."""
    return ";".join(str(amount) for amount in amounts) or "-"


def month_of(at_ms: int, zone: ZoneInfo, later: int = 0) -> int:
    """Return yyyymm of the month this many months after a moment, in the group's zone."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    index = local.year * 12 + local.month - 1 + later
    return index // 12 * 100 + index % 12 + 1
