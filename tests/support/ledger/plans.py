"""How much a query reads of a large ledger, by PostgreSQL's own account."""

from typing import Any

import orjson


async def plan_of(connection: Any, query: str, *arguments: object) -> dict[str, Any]:
    """The plan of a query that was run."""
    (told,) = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    plan: dict[str, Any] = orjson.loads(told[0])[0]["Plan"]
    return plan


def most_rows(plan: dict[str, Any]) -> int:
    """The rows that the busiest step of a plan handed on or threw away."""
    loops = plan.get("Actual Loops", 0)
    own: int = round(loops * (plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)))
    return max([own, *(most_rows(below) for below in plan.get("Plans", ()))])
