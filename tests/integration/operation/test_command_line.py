"""Every command of `tong`: help, JSON, what it asks before what cannot be undone, and where it finds the stores."""

import asyncio
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.formats.printing import table
from gateway.problems.amounts import money
from loadtest.stack import TONG
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.stack import Stack
from tests.support.settlement.settlement import Book, at, group_pool

COMMAND_SECONDS = 90.0
ROOT_COMMAND = typer.main.get_command(app)

WITHOUT_JSON = {
    # These run until they are ended.
    *("up", "serve", "write-ledger", "seal", "projector"),
    # These print a file: JSON, an ACL file, SQL, YAML.
    *("heads", "store-users", "export-group"),
    # These report progress, or print one address.
    *("migrate", "demo", "demo pages", "projections begin", "projections run"),
}
ASKS = {
    *("rebuild", "migrate", "load", "ledger archive", "ledger restore", "keys rotate", "keys revoke"),
    "projections begin",
    *("code-keys retire", "members block", "members revoke-codes"),
    *("settle close", "settle approve", "settle pay", "settle dispute resolve"),
}
"""What cannot be undone; and `load`, which asks before it retires anything."""


def commands(group: Any = ROOT_COMMAND, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its words; a group that does something by itself is one."""
    for name, command in group.commands.items():
        words = (*path, name)
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield " ".join(words), command
            yield from commands(command, words)
        else:
            yield " ".join(words), command


EVERY = dict(commands())


def options(command: Any) -> dict[str, Any]:
    return {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("words", EVERY)
def test_every_command_has_help_for_itself_and_each_of_its_options_and_an_example(words: str) -> None:
    command = EVERY[words]
    assert command.help, f"tong {words} says nothing of itself"
    for name, option in options(command).items():
        assert name == "--help" or option.help, f"tong {words} says nothing of {name}"
    assert command.epilog is not None, f"tong {words} has no example"
    assert f"tong {words}" in command.epilog
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Example:" in shown.output


def test_every_command_that_prints_data_has_json_and_every_one_that_cannot_be_undone_asks() -> None:
    assert {words for words, command in EVERY.items() if "--json" not in options(command)} == WITHOUT_JSON
    assert {words for words, command in EVERY.items() if "--yes" in options(command)} == ASKS
    assert {words for words, command in EVERY.items() if "--dry-run" in options(command)} == ASKS


def test_it_says_its_version_and_completes() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).output == f"tong {version('tong')}\n"
    typed = {"_TONG_COMPLETE": "complete_bash", "COMP_WORDS": "tong settle cl", "COMP_CWORD": "2"}
    done = subprocess.run(
        [TONG],
        env={**os.environ, **typed},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.stdout.split() == ["close"], done.stderr


async def tong(*arguments: str, settings: Mapping[str, str], stdin: int = subprocess.DEVNULL) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command without any setting but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
    process = await asyncio.create_subprocess_exec(
        *(str(TONG), *arguments),
        env={**inherited, **settings},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


READS = [
    "keys list",
    "code-keys list",
    "settle status",
    "settle status --month 2026-11",
    "settle exceptions",
    "settle lines --month 2026-11",
    "settle agreements list",
    "settle dispute list --all",
    "ledger parts",
    "demo env",
    "demo codes",
    "audit --drain-seconds 60",
    "rebuild --member mem_0000001 --dry-run",
    "keys rotate {key} --dry-run",
    "keys revoke {key} --dry-run",
    "code-keys retire dev-1 --dry-run",
    "members revoke-codes mem_0000001 --dry-run",
    "members block mem_0000001 --dry-run",
    "settle close --month 2020-01 --dry-run",
]


@pytest.mark.parametrize("words", READS)
async def test_beside_a_running_stack_a_command_needs_only_its_home_and_answers_json(stack: Stack, words: str) -> None:
    key = stack.terminals["gym"].api_key.split("_")[3]
    arguments = words.format(key=key).split()
    status, out, error = await tong(*arguments, "--json", settings={"TONG_HOME": str(stack.home)})
    assert status == 0, error
    documents = [json.loads(line) for line in out.splitlines()] if _streamed(words) else [json.loads(out)]
    assert all(isinstance(each, dict | list) for each in documents)
    status, _, error = await tong(*arguments, settings={"TONG_HOME": str(stack.home)})
    assert (status, "Traceback" in error) == (0, False)


def _streamed(words: str) -> bool:
    """One object a line, for there may be millions."""
    return words.startswith(("settle exceptions", "settle lines"))


@pytest.mark.parametrize("words", ["keys list", "settle status", "rebuild --all", "members block mem_0000001 --yes"])
async def test_where_no_stack_runs_it_says_in_a_sentence_what_to_do(tmp_path: Path, words: str) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "demo.json").write_text('{"valkey_url": "redis://127.0.0.1:1", "postgres_dsn": "x"}')
    (tmp_path / "left" / "lock").write_text("")
    for home, reason in (("none", "no demo.json there"), ("left", "left from a stack that was killed")):
        status, out, error = await tong(*words.split(), settings={"TONG_HOME": str(tmp_path / home)})
        assert (status in (1, 2), out) == (True, "")
        assert len(error.splitlines()) - ("block" in words) * 2 == 1, error
        assert reason in error
        assert "start it with `tong up`" in error


async def test_the_stores_of_the_running_stack_are_not_mixed_with_one_from_the_environment(stack: Stack) -> None:
    away = {"TONG_HOME": str(stack.home), "TONG_VALKEY_URL": "redis://127.0.0.1:1"}
    status, out, error = await tong("keys", "list", settings=away)
    assert (status, out) == (1, "")
    assert "TONG_POSTGRES_DSN" in error


async def test_what_cannot_be_undone_is_refused_where_nobody_can_be_asked_and_changes_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    key = stack.terminals["gym"].api_key.split("_")[3]
    home = {"TONG_HOME": str(stack.home)}
    words_of_keys = (f"keys rotate {key}", f"keys revoke {key}", "code-keys retire dev-1")
    for words in (*words_of_keys, "members block mem_0000001", "rebuild --all"):
        status, out, error = await tong(*words.split(), settings=home)
        assert (status, out) == (2, ""), words
        assert "give --yes" in error
    status, out, _ = await tong("keys", "list", "--json", settings=home)
    (listed,) = [each for each in json.loads(out) if each["key_id"] == key]
    assert (listed["expires_at"], listed["revoked_at"]) == (None, None)


async def test_at_a_terminal_it_asks_and_does_only_what_it_is_told_to(stack: Stack) -> None:
    home = {"TONG_HOME": str(stack.home)}
    _, made, _ = await tong("keys", "create", "--terminal", stack.terminals["gym"].terminal_id, "--json", settings=home)
    key_id = json.loads(made)["api_key"].split("_")[3]
    for answer, status_wanted, revoked in ((b"n\n", 1, False), (b"\n", 1, False), (b"y\n", 0, True)):
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer)
            status, _, error = await tong("keys", "revoke", key_id, stdin=theirs, settings=home)
        finally:
            os.close(ours)
            os.close(theirs)
        assert (status, "Do it? [y/N]" in error) == (status_wanted, True)
        _, out, _ = await tong("keys", "list", "--json", settings=home)
        (listed,) = [each for each in json.loads(out) if each["key_id"] == key_id]
        assert (listed["revoked_at"] is not None) == revoked


async def test_a_month_is_not_frozen_unasked_and_its_sums_are_shown_as_money(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        server = {"TONG_POSTGRES_DSN": dsn}
        leg = {"kind": "points", "points": 123_456, "value_minor": 123_456}
        moves = [("points", "202701.hotel", "A", "R", 123_456)]
        await Book(pool).write("redeem", "rdm_1", "mall", moves, at("2026-10-05T04:00"), legs=[leg])
        file = "{issuer: '*', acceptor: '*', instrument: points, valid_from: 2026-01-01, rule: {kind: proportion,"
        path = tmp_path / "points.yaml"
        path.write_text(file + " basis_points: 10000}}")
        await tong("settle", "agreements", "add", "points", str(path), settings=server)
        await tong("settle", "run", settings=server)
        close = ("settle", "close", "--month", "2026-10")
        for extra, wanted in (((), 2), (("--dry-run",), 0), (("--dry-run", "--json"), 0)):
            status, out, error = await tong(*close, *extra, settings=server)
            assert status == wanted, error
            assert await pool.fetchval("SELECT count(*) FROM settlement_period") == 0, extra
            if "--json" in extra:
                plan = json.loads(out)
                assert (plan["month"], plan["lines"], plan["closed"]) == (202610, 1, False)
                assert plan["periods"][0]["totals"][0]["amount_minor"] == 123_456
            else:
                assert re.search(r"202610\.hotel\.mall +open +1 +hotel +mall +1,234\.56 CNY", out + error), out + error
        assert (await tong(*close, "--yes", settings=server))[0] == 0
        assert await pool.fetchval("SELECT count(*) FROM settlement_period") == 1
        status, _, error = await tong(*close, settings=server)
        assert status == 0, "what is frozen already is only looked at again"
        status, _, error = await tong("settle", "close", "--month", "2099-01", settings=server)
        assert (status, "not over" in error) == (1, True)


async def test_a_migration_of_a_database_with_data_asks_and_a_first_one_does_not(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        stores = {"TONG_POSTGRES_DSN": dsn, "TONG_VALKEY_URL": "redis://127.0.0.1:1"}
        status, out, _ = await tong("migrate", "--dry-run", settings=stores)
        assert (status, "of this version" in out) == (0, True)
        await pool.execute("DELETE FROM schema_migrations WHERE version = '0008'")
        status, out, error = await tong("migrate", settings=stores)
        assert (status, out) == (2, "")
        assert "0008_devices.sql" in error
        assert await pool.fetchval("SELECT count(*) FROM schema_migrations WHERE version = '0008'") == 0
        await pool.execute("DELETE FROM schema_migrations")
        status, _, error = await tong("migrate", settings=stores)
        assert "give --yes" not in error


def test_tables_are_aligned_by_the_width_that_is_seen() -> None:
    lines = table(("name", "", "amount"), [("陳大文", "", money(123_456, "CNY")), ("Ann", "", money(5, "JPY"))])
    assert lines == ["name          amount", "陳大文  1,234.56 CNY", "Ann            5 JPY"]
    assert table(("a",), []) == []
