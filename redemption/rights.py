"""Roles of the PostgreSQL database and their rights, defined once for every place that sets them.

Guarantees: after `grant_rights` a role may do what is granted here and nothing else on the tables and functions of the
schema public; a role that does not exist is passed over. `tong migrate` grants after every migration, so that a new
table has its rights when the migration that made it is done; `tong store-users postgres` prints the same statements.

A new table gets a row in `TABLES` (a test names the one that is missing): a table nobody is named for is closed to all
but its owner.
"""

from collections.abc import Collection, Mapping
from typing import Final

from redemption.database import Connection

GATEWAY: Final = "tong_gateway"
WRITER: Final = "tong_writer"
SEALER: Final = "tong_sealer"
SETTLEMENT: Final = "tong_settlement"
PROJECTOR: Final = "tong_projector"
OPERATIONS: Final = "tong_operations"

ROLES: Final[Mapping[str, str]] = {
    GATEWAY: "gateway workers: read configuration and ledger, write what people enter over HTTP",
    WRITER: "the ledger writer: adds to the ledger and moves its watermarks",
    SEALER: "the sealer and `tong heads`: reads the ledger, adds seals",
    SETTLEMENT: "`tong settle`: reads the ledger, adds to the settlement",
    PROJECTOR: "the projector: reads the ledger, keeps its marks and what it makes of the ledger",
    OPERATIONS: "a person's tools: `tong load`, `tong keys`, `tong members`, `tong audit`",
}

_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_KEEP: Final = "SELECT, INSERT, UPDATE"
_CONFIGURATION: Final = {GATEWAY: _READ, WRITER: _READ, SETTLEMENT: _READ, OPERATIONS: _KEEP}
_READERS: Final = dict.fromkeys((GATEWAY, SEALER, SETTLEMENT, PROJECTOR, OPERATIONS), _READ)
_LEDGER: Final = {**_READERS, WRITER: "INSERT"}
_SETTLED: Final = {GATEWAY: _ADD, SETTLEMENT: _ADD, OPERATIONS: _READ}

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "configuration_version": {**_CONFIGURATION, OPERATIONS: "SELECT, UPDATE"},
    "configuration_history": {GATEWAY: _READ, OPERATIONS: _KEEP},
    "installation": {**_CONFIGURATION, PROJECTOR: _READ},
    "tier": _CONFIGURATION,
    "business": {**_CONFIGURATION, PROJECTOR: _READ},
    "outlet": {**_CONFIGURATION, PROJECTOR: _READ},
    "benefit": {**_CONFIGURATION, PROJECTOR: _READ},
    "terminal": _CONFIGURATION,
    "api_key": {GATEWAY: _READ, WRITER: _READ, OPERATIONS: _KEEP},
    "api_key_use": {GATEWAY: _KEEP, OPERATIONS: _READ},
    "member": {GATEWAY: _READ, OPERATIONS: _KEEP},
    # Only the writer adds to the ledger; not even it reads back or changes a row.
    "ledger_transaction": _LEDGER,
    # Nothing is added to rows from before migration 0014. `ledger_posting` is a view over them and over moves, read by
    # the reader's own rights on both; not by the sealer: one of a version before would seal new rows by what it shows.
    "ledger_posting_row": _READERS,
    "ledger_posting": {role: right for role, right in _READERS.items() if role != SEALER},
    "ledger_dead_letter": _LEDGER,
    # Members enrol devices by themselves; they or `tong members` revoke them.
    "member_device": {GATEWAY: "SELECT, INSERT, UPDATE (revoked_at)", OPERATIONS: "SELECT, UPDATE (revoked_at)"},
    "ledger_watermark": {**_READERS, WRITER: "SELECT, INSERT, UPDATE (last_ms, last_seq, rows_in_epoch, updated_at)"},
    "ledger_seal": {SEALER: _ADD, OPERATIONS: _READ},
    "ledger_epoch": {SEALER: _READ, SETTLEMENT: _READ, OPERATIONS: _READ},
    # Archiving detaches partitions, which only the owner may do.
    "ledger_archive": {OPERATIONS: _READ},
    "ledger_archive_balance": {OPERATIONS: _READ},
    "ledger_archive_member": {OPERATIONS: _READ},
    "member_purchases": {GATEWAY: _READ, PROJECTOR: _KEEP, OPERATIONS: _READ},
    "member_visit": {GATEWAY: _READ, PROJECTOR: _ADD, OPERATIONS: _READ},
    "projection": {
        SETTLEMENT: "SELECT, UPDATE (stopped_at, stopped_because)",
        PROJECTOR: "SELECT, UPDATE (stopped_at, stopped_because)",
        OPERATIONS: "SELECT, UPDATE (begun_at, complete_from)",
    },
    "projection_mark": {
        GATEWAY: "SELECT, UPDATE (updated_at)",
        SETTLEMENT: _KEEP,
        PROJECTOR: _KEEP,
        OPERATIONS: _READ,
    },
    "settlement_agreement": {**_SETTLED, PROJECTOR: _READ, OPERATIONS: _ADD},
    "settlement_agreement_version": {**_SETTLED, PROJECTOR: _READ, OPERATIONS: _ADD},
    "settlement_line": {**_SETTLED, PROJECTOR: _ADD},
    # UPDATE of a column is also what a lock of a row needs (FOR SHARE, FOR UPDATE); a trigger refuses the change.
    "settlement_period": {
        GATEWAY: "SELECT, INSERT, UPDATE (closed_at)",
        SETTLEMENT: "SELECT, INSERT, UPDATE (closed_at)",
        OPERATIONS: _READ,
    },
    "settlement_period_total": _SETTLED,
    "settlement_approval": _SETTLED,
    "settlement_payment": _SETTLED,
    "settlement_dispute": _SETTLED,
    "settlement_resolution": _SETTLED,
    "settlement_books": {
        GATEWAY: "SELECT, UPDATE (closed_through)",
        SETTLEMENT: "SELECT, UPDATE (closed_through)",
        PROJECTOR: "SELECT, UPDATE (only_row)",  # holds the row shared
        OPERATIONS: _READ,
    },
    "settlement_exception": {
        GATEWAY: _READ,
        SETTLEMENT: "SELECT, INSERT, UPDATE (reason, tried_serial, settled_at)",
        PROJECTOR: "SELECT, INSERT, UPDATE (reason, tried_serial, settled_at)",
        OPERATIONS: _READ,
    },
    # Rows are kept for a while only: a process that adds one also removes old ones.
    "settlement_reconciliation": {
        GATEWAY: "SELECT, INSERT, UPDATE (expires_at), DELETE",
        SETTLEMENT: "SELECT, INSERT, UPDATE (expires_at), DELETE",
    },
    "settlement_reconciliation_part": {GATEWAY: "SELECT, INSERT, DELETE", SETTLEMENT: "SELECT, INSERT, DELETE"},
}

FUNCTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "ledger_ensure_month(date)": (WRITER,),
}
"""Functions that PUBLIC may not call, and who may."""


def statements(role: str, tables: Collection[str] = TABLES.keys()) -> list[str]:
    """Return the statements that give `role` its rights and take every other; the tables' owner runs them in one
    transaction.

    `tables` are the existing ones: a database may be a version behind.
    """
    lines = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {role};",
        f"GRANT USAGE ON SCHEMA public TO {role};",
    ]
    by_right: dict[str, list[str]] = {}
    for table, rights in TABLES.items():
        if role in rights and table in tables:
            by_right.setdefault(rights[role], []).append(table)
    lines += [f"GRANT {right} ON {', '.join(names)} TO {role};" for right, names in by_right.items()]
    lines += [f"GRANT EXECUTE ON FUNCTION {name} TO {role};" for name, roles in FUNCTIONS.items() if role in roles]
    return lines


def creation(role: str) -> str:
    """Return the statement that makes the role, without a password: `ALTER ROLE … PASSWORD` or `\\password` sets
    one."""
    return f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;"


async def roles_present(connection: Connection) -> list[str]:
    """Return the `ROLES` that the server has."""
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::name[])", list(ROLES))
    found = {row["rolname"] for row in rows}
    return [role for role in ROLES if role in found]


async def grant_rights(connection: Connection) -> list[str]:
    """Bring the rights of every existing role to those defined here. Returns the roles' names."""
    async with connection.transaction():
        # Two grants at once would change the same rows of the catalogue, so the second waits.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('tong.grant_rights', 0))")
        present = await roles_present(connection)
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
        )
        tables = {row["relname"] for row in rows}
        for role in present:
            await connection.execute("\n".join(statements(role, tables)))
    return present


def roles_file() -> str:
    """Return the SQL that makes all roles and gives them their rights; `\\password` of psql sets passwords."""
    parts = ["-- As the owner of the database, once; `tong migrate` grants again after every migration."]
    for role, purpose in ROLES.items():
        parts += [f"\n-- {purpose}", creation(role), *statements(role)]
    return "\n".join(parts)
