"""Named queries from `sql/*.sql` beside this module; a file's queries each open with a line `-- name: <name>`.

The same form as redemption/ledger/queries.py. Nothing is read at import; a file is read once.
"""

from functools import cache
from importlib.resources import files

_MARK = "-- name: "


@cache
def named_queries(file: str) -> dict[str, str]:
    """The queries of `sql/<file>.sql` by name. A name given twice or a file without queries is a ValueError."""
    text = (files("redemption.settlement") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    queries: dict[str, str] = {}
    for part in text.split(f"\n{_MARK}")[1:]:
        name, _, body = part.partition("\n")
        if name in queries:
            raise ValueError(f"query {name} stands twice in {file}.sql")
        queries[name] = body.strip()
    if not queries:
        raise ValueError(f"{file}.sql holds no query")
    return queries
