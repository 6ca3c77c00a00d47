"""Named queries from the `.sql` files of the ledger and of the settlement.

A file holds queries that each open with a line `-- name: <name>`. Nothing is read at import; a file is read once.
"""

from functools import cache
from importlib.resources import files

_MARK = "-- name: "


@cache
def named_queries(part: str, file: str) -> dict[str, str]:
    """Return the queries of `redemption/<part>/sql/<file>.sql` by name.

    Raises ValueError for a duplicate name or a file without queries.
    """
    text = (files("redemption") / part / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    queries: dict[str, str] = {}
    for query in text.split(f"\n{_MARK}")[1:]:
        name, _, body = query.partition("\n")
        if name in queries:
            raise ValueError(f"query {name} is a duplicate in {file}.sql")
        queries[name] = body.strip()
    if not queries:
        raise ValueError(f"{file}.sql holds no query")
    return queries
