"""Least privilege in the stores: every part is a user of its own, and what it must not do is refused by the server."""

import stat
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from redemption import rights
from redemption.hot import users
from redemption.hot.connection import Address, HotConnection
from tests.support.engine.driver import Engine, running_engine
from tests.support.engine.machine import EngineMachine
from tests.support.servers.stack import Stack
from tests.support.servers.store_users import hot_as, hot_password, ledger_as, ledger_password, refused_inside_functions

NOBODY: tuple[tuple[str | int, ...], ...] = (
    ("EVAL", "return 1", 0),
    ("SCRIPT", "LOAD", "return 1"),
    ("FUNCTION", "LOAD", "REPLACE", "#!lua name=x\nredis.register_function('x', function() return 1 end)"),
    ("FUNCTION", "LIST"),
    ("FUNCTION", "DELETE", "tong"),
    ("FUNCTION", "FLUSH"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "appendfsync", "no"),
    ("CONFIG", "GET", "requirepass"),
    ("KEYS", "*"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "tong_gateway", "+@all"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("MONITOR",),
    ("CLIENT", "KILL", "ID", "1"),
    ("SAVE",),
    ("GET", "another"),
    ("SET", "another", "1"),
)
NOT_BY_A_SERVING_PART: tuple[tuple[str | int, ...], ...] = (
    ("DEL", "{b1}:lots:mem_0000001"),
    ("UNLINK", "{b1}:member:mem_0000001"),
    ("RENAME", "{b1}:ledger", "{b1}:other"),
    ("EXPIRE", "{b1}:lots:mem_0000001", 1),
    ("PERSIST", "{b1}:code:1:1"),
    ("SET", "{b1}:lots:mem_0000001", "1"),
    ("SET", "{b1}:epoch", "9"),
    ("SET", "tong:buckets", "9"),
    ("HSET", "{b1}:ledger", "a", "1"),
    ("XDEL", "{b1}:ledger", "0-1"),
    ("XADD", "{b1}:lots:mem_0000001", "*", "a", "1"),
    ("SCAN", 0),
    ("COPY", "{b1}:lots:mem_0000001", "{b1}:lots:mem_0000002"),
)
GATEWAY_ONLY = (("XTRIM", "{b1}:ledger", "MAXLEN", 0), ("SET", "{b1}:frozen", "no"), ("MULTI",))


def each(statement: str, tables: tuple[str, ...]) -> tuple[str, ...]:
    """The statement for every table; `…` stands for its name."""
    return tuple(statement.replace("…", table) for table in tables)


LEDGER = ("ledger_transaction", "ledger_posting_row", "ledger_dead_letter", "ledger_watermark", "ledger_seal")
CONFIGURATION = ("installation", "tier", "business", "outlet", "benefit", "terminal", "api_key", "member")


@pytest.mark.parametrize("user", sorted(users.RULES))
async def test_no_user_of_the_hot_store_may_script_flush_configure_or_look_beyond_the_products_keys(
    stack: Stack, user: str
) -> None:
    allowed = {("CONFIG", "GET", "requirepass")} if user == users.OPERATIONS else set()
    async with hot_as(stack, user) as hot:
        assert await hot.ping()
        for command in NOBODY:
            if command not in allowed:
                await refused(hot, command)


@pytest.mark.parametrize("user", [users.GATEWAY, users.WRITER])
async def test_a_serving_part_deletes_nothing_and_changes_keys_only_as_functions_do(stack: Stack, user: str) -> None:
    async with hot_as(stack, user) as hot:
        for command in NOT_BY_A_SERVING_PART + (GATEWAY_ONLY if user == users.GATEWAY else ()):
            await refused(hot, command)
        assert await hot.xlen("{b1}:ledger") >= 0
        assert await hot.xread({"{b1}:ledger": "0"}, count=1) is not None


async def refused(hot: Any, command: tuple[str | int, ...]) -> None:
    # DEBUG is switched off in the server's configuration, before any right is asked for.
    with pytest.raises(ResponseError, match=r"(?i)permissions|command not allowed"):
        pytest.fail(f"{command} is allowed: {await hot.execute_command(*command)}")


async def test_every_part_of_the_stack_runs_as_its_own_user(stack: Stack) -> None:
    async with stack.hot() as hot:
        clients = {client["name"]: client["user"] for client in await hot.client_list()}
    assert clients["tong-gateway"] == users.GATEWAY
    assert clients["tong-sweeper"] == users.WRITER
    async with stack.ledger() as ledger:
        rows = await ledger.fetch("SELECT DISTINCT application_name, usename FROM pg_stat_activity")
    roles = {row["application_name"]: row["usename"] for row in rows if row["usename"] is not None}
    assert {name: roles.get(name) for name in ("tong-gateway", "tong-ledger-writer", "tong-sealer")} == {
        "tong-gateway": rights.GATEWAY,
        "tong-ledger-writer": rights.WRITER,
        "tong-sealer": rights.SEALER,
    }


async def test_passwords_lie_in_files_for_their_owner_only_and_servers_keep_hashes(stack: Stack) -> None:
    configuration = (stack.home / "valkey" / "valkey.conf").read_text()
    for folder in (stack.home / "valkey" / "users", stack.home / "postgres" / "roles"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir())
    secrets = [hot_password(stack, user) for user in users.RULES]
    assert not any(secret in configuration for secret in secrets)
    async with stack.ledger() as ledger:
        kept = await ledger.fetch(
            "SELECT rolname, rolpassword, rolsuper FROM pg_authid WHERE rolname = ANY ($1)", list(rights.ROLES)
        )
    assert len(kept) == len(rights.ROLES)
    for row in kept:
        assert row["rolpassword"].startswith("SCRAM-SHA-256$4096:")
        assert ledger_password(stack, row["rolname"]) not in row["rolpassword"]
        assert not row["rolsuper"]


FORBIDDEN_SQL = (
    *each("DELETE FROM …", LEDGER),
    *each("TRUNCATE …", LEDGER),
    "UPDATE ledger_transaction SET member_id = member_id",
    "UPDATE ledger_posting_row SET amount = amount",
    "UPDATE ledger_seal SET rows_sealed = 0",
    "ALTER TABLE ledger_posting_row DISABLE TRIGGER ALL",
    "DROP TABLE ledger_posting_row",
    "CREATE TABLE mine (a int)",
    "SET session_replication_role = replica",
    "COPY business TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE another",
)
"""What nobody but the owner may do."""
FORBIDDEN_TO = {
    rights.GATEWAY: (
        *each("INSERT INTO … DEFAULT VALUES", (*LEDGER, *CONFIGURATION)),
        *each("DELETE FROM …", CONFIGURATION),
        "UPDATE api_key SET roles = roles",
        "UPDATE business SET rules = rules",
        "UPDATE benefit SET definition = definition",
        "UPDATE member SET status = status",
        "UPDATE ledger_watermark SET last_ms = last_ms",
        "UPDATE configuration_version SET version = version",
        "SELECT ledger_ensure_month(current_date)",
    ),
    rights.WRITER: (
        *each("INSERT INTO … DEFAULT VALUES", ("ledger_seal", "ledger_posting_row", "settlement_line", *CONFIGURATION)),
        "SELECT * FROM ledger_transaction",
        "SELECT * FROM ledger_posting",
        "SELECT * FROM member",
        "UPDATE ledger_watermark SET epoch = 9",
        "UPDATE api_key SET revoked_at = NULL",
    ),
    rights.SEALER: (
        *each("INSERT INTO … DEFAULT VALUES", ("ledger_transaction", "ledger_posting_row", *CONFIGURATION)),
        "SELECT * FROM api_key",
        "SELECT * FROM settlement_line",
        "SELECT * FROM ledger_posting",
        "UPDATE ledger_watermark SET last_ms = 0",
    ),
    rights.SETTLEMENT: (
        *each("INSERT INTO … DEFAULT VALUES", (*LEDGER, *CONFIGURATION)),
        "SELECT * FROM api_key",
        "DELETE FROM settlement_line",
        "UPDATE settlement_line SET amount_minor = 0",
    ),
    rights.PROJECTOR: (
        *each("INSERT INTO … DEFAULT VALUES", (*LEDGER, *CONFIGURATION, "projection", "settlement_agreement")),
        "SELECT * FROM api_key",
        "SELECT * FROM member",
        "SELECT * FROM ledger_archive",
        "UPDATE settlement_books SET closed_through = 202601",
        "UPDATE settlement_line SET amount_minor = 0",
        "UPDATE projection SET begun_at = now()",
        "DELETE FROM projection_mark",
    ),
    rights.OPERATIONS: (
        *each("INSERT INTO … DEFAULT VALUES", LEDGER),
        "DELETE FROM api_key",
        "DELETE FROM settlement_line",
    ),
}


@pytest.mark.parametrize("role", sorted(rights.ROLES))
async def test_a_role_of_the_ledger_is_refused_what_is_not_its_work(stack: Stack, role: str) -> None:
    async with ledger_as(stack, role) as ledger:
        assert await ledger.fetchval("SELECT current_user") == role
        for statement in (*FORBIDDEN_SQL, *FORBIDDEN_TO[role]):
            try:
                await ledger.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            pytest.fail(f"{role} may: {statement}")


async def test_the_ledger_is_refused_to_be_changed_even_by_its_owner(stack: Stack) -> None:
    async with stack.ledger() as ledger:
        for statement in ("DELETE FROM ledger_transaction", "UPDATE ledger_transaction SET member_id = 'mem_0000001'"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await ledger.execute(statement)


class EngineOfGateway(Engine):
    """The engine whose functions are called by the gateway's user; the test's own looks stay the owner's."""

    async def _open(self) -> None:
        await super()._open()
        await self.ask("ACL", "SETUSER", users.GATEWAY, "reset", "on", ">secret", *users.RULES[users.GATEWAY])
        await self.ask("ACL", "SETUSER", users.GATEWAY, "%R~test:now")
        address = Address(port=self.connection.address.port, username=users.GATEWAY, password="secret")
        calls = HotConnection(address, in_flight_max=64, stall_timeout_seconds=30.0)
        await calls.start()
        self.connection = Divided(self.connection, calls)

    async def denied(self) -> list[str]:
        async with Redis(port=self.connection.address.port) as owner:
            return await refused_inside_functions(owner)


class Divided(HotConnection):
    """Functions go to one connection, everything else to another."""

    def __init__(self, owner: HotConnection, calls: HotConnection) -> None:
        self._owner = owner
        self._calls = calls
        self.address = owner.address

    async def execute(self, *args: Any, deadline_seconds: float) -> Any:
        chosen = self._calls if args[0] in ("FCALL", "FCALL_RO") else self._owner
        return await chosen.execute(*args, deadline_seconds=deadline_seconds)

    async def close(self, drain_seconds: float) -> None:
        await self._calls.close(drain_seconds)
        await self._owner.close(drain_seconds)


@pytest.fixture(scope="module")
def engine_of_gateway() -> Iterator[EngineOfGateway]:
    with running_engine(EngineOfGateway) as made:
        yield made


def test_the_gateways_user_may_do_all_that_the_functions_do_in_every_interleaving(
    engine_of_gateway: EngineOfGateway,
) -> None:
    class Machine(EngineMachine):
        pass

    Machine.engine = engine_of_gateway
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert engine_of_gateway.run(engine_of_gateway.denied()) == []


def test_what_a_user_lacks_ends_a_function_and_shows_in_the_log_that_the_suite_looks_at(
    engine_of_gateway: EngineOfGateway,
) -> None:
    """The control: without the right to add to the streams a call of the gateway is refused inside the function."""

    async def without_a_right() -> list[str]:
        await engine_of_gateway.ask("ACL", "SETUSER", users.GATEWAY, "clearselectors", "(+fcall +fcall_ro ~*)")
        name = engine_of_gateway.library.function("upsert_member")
        with pytest.raises(Exception, match="ACL failure"):
            await engine_of_gateway.ask("FCALL", name, 1, "{b0}:member:mem_1", "gold", "x", "active")
        found = await engine_of_gateway.denied()
        await engine_of_gateway.ask("ACL", "SETUSER", users.GATEWAY, *users.RULES[users.GATEWAY])
        await engine_of_gateway.ask("ACL", "LOG", "RESET")
        return found

    assert engine_of_gateway.run(without_a_right()) == [f"{users.GATEWAY} hset"]


def test_the_writer_may_do_all_that_the_gateway_may_in_functions() -> None:
    figures = {users.LIVE_FIGURES.selector()}
    assert set(users.RULES[users.GATEWAY]) - figures <= set(users.RULES[users.WRITER])
