"""docs/explanation/security.md is true: its tests exist, its rules are the product's, and none is forgotten."""

import re
from pathlib import Path

import pytest

from gateway.observability import alarms
from redemption import rights
from redemption.domain import limits
from redemption.hot import users
from redemption.hot.library import FUNCTION_FILES, SHARED_FILES, assemble
from redemption.rules.policy import Policy
from tests.support.servers.key_space import declared_keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
MIGRATIONS = sorted((ROOT / "redemption" / "migrations").glob("*.sql"))
NOT_CHANGED_BY_FUNCTIONS = {"{bN}:epoch", "{bN}:frozen", "tong:buckets", "tong:layout"}
"""Keys that no serving part writes but the writer's mark of a frozen bucket."""


def threats() -> list[str]:
    """The rows of the table of threats."""
    table = PAGE.partition("## Threats")[2].partition("## Not promised")[0]
    return [line for line in table.splitlines() if line.startswith("| **")]


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED_TEST.findall(PAGE)
    assert len(named) >= 30
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_threat_has_a_counter_measure_and_a_test() -> None:
    assert len(threats()) >= 15
    for row in threats():
        _, _, measure, shown, _ = row.split("|")
        assert measure.strip()
        assert NAMED_TEST.search(shown), row


@pytest.mark.parametrize(("command", "text"), [("valkey", users.acl_file()), ("postgres", rights.roles_file())])
def test_the_page_shows_what_the_command_prints(command: str, text: str) -> None:
    assert f"### `tong store-users {command}`" in PAGE
    assert f"\n{text}\n```" in PAGE, (
        f"docs/explanation/security.md differs from `tong store-users {command}`: put its output there"
    )


def spaced(number: float) -> str:
    return f"{round(number):,}".replace(",", " ")


def test_the_numbers_of_an_insider_are_those_of_the_limits() -> None:
    """What one till's key is worth in a day, and what guessing over many outlets gets, from the limits in force."""
    policy, most = Policy(), Policy().earn_ceilings
    windows = 86_400 // limits.GUESS_WINDOW_SECONDS + 1
    outlets, digits_tags, members_share = 100, 1_562_500, 0.01
    of_group = limits.GUESSES_IN_GROUP + outlets * limits.GUESSES_PER_OUTLET_THEN
    unbounded = outlets * limits.GUESSES_PER_OUTLET * windows
    at_once = limits.TOMBSTONES_PER_TERMINAL * (limits.TOMBSTONE_SECONDS // limits.GUESS_WINDOW_SECONDS + 1)
    a_day = policy.terminal_rate * 86_400 // limits.RATE_WINDOW_SECONDS
    for told in (
        f"{spaced(most.bill_points)} a bill, {spaced(most.member_day_points)} a member, "
        f"{spaced(most.terminal_day_points)} a till: so {most.terminal_day_points // most.member_day_points} members",
        f"At 1 fen a point {most.terminal_day_points // 100 // 1_000} {most.terminal_day_points // 100 % 1_000:03d}.00",
        f"{spaced(limits.GUESSES_PER_TERMINAL * windows)} tries a till, "
        f"{spaced(limits.GUESSES_PER_OUTLET * windows)} an outlet",
        f"{policy.terminal_rate} in {limits.RATE_WINDOW_SECONDS} s: {spaced(a_day)}",
        f"{spaced(limits.TOMBSTONES_PER_TERMINAL)} in ten minutes, two hours each: {spaced(at_once)} at once",
        f"over {spaced(alarms.POINTS_ISSUED_MIN)} in a minute",
        f"over {alarms.GUESSES_PER_MINUTE} in a minute",
        f"{limits.GUESSES_IN_GROUP} guesses in ten minutes over all outlets",
        f"most {spaced(of_group * windows)} answers: chance {of_group * windows / digits_tags:.1%} of a code".replace(
            "%", " %"
        ),
        f"{of_group * windows / digits_tags * members_share:.3%} of a member's".replace("%", " %"),
        f"{spaced(unbounded)} answers and {unbounded / digits_tags * members_share:.2%}".replace("%", " %"),
    ):
        assert told in " ".join(PAGE.split()), told
    assert limits.GUESS_WINDOW_SECONDS == 600
    assert limits.TOMBSTONE_SECONDS == 7_200
    assert a_day * 100_000_000 / 2**80 < 1e-9


def test_every_table_has_its_line_in_the_rights_and_every_line_its_table() -> None:
    made: set[str] = set()
    for migration in MIGRATIONS:
        up = migration.read_text(encoding="utf-8").partition("-- migrate:down")[0]
        for before, after in re.findall(r"^ALTER TABLE (\w+) RENAME TO (\w+)", up, re.MULTILINE):
            made = (made - {before}) | {after}
        made |= set(re.findall(r"^\s*CREATE (?:TABLE (?:IF NOT EXISTS )?|VIEW )(\w+)", up, re.MULTILINE))
        made -= set(re.findall(r"^\s*DROP TABLE (?:IF EXISTS )?(\w+)", up, re.MULTILINE))
    assert made == set(rights.TABLES), "redemption/rights.py says who may do what with each table"
    assert {role for each in rights.TABLES.values() for role in each} <= set(rights.ROLES)


def test_every_key_and_every_command_of_the_functions_is_in_the_rules_of_the_hot_store() -> None:
    families = [*users.WRITTEN_BY_FUNCTIONS, users.LIVE_FIGURES]
    patterns = [re.compile(re.escape(key).replace(r"\*", ".*")) for family in families for key in family.keys]
    for row in declared_keys():
        if row.spelling in NOT_CHANGED_BY_FUNCTIONS:
            continue
        name = row.spelling.replace("{bN}", "{b1}")
        assert any(pattern.fullmatch(name) for pattern in patterns), f"{row.spelling}: redemption/hot/users.py"
    source = assemble().source
    assert FUNCTION_FILES
    assert SHARED_FILES
    commands = {f"+{name.lower()}" for name in re.findall(r"\bcall\(\s*'([A-Za-z]+)'", source)}
    assert len(commands) >= 15
    assert commands <= set(" ".join(users.RULES[users.GATEWAY]).replace("(", "").replace(")", "").split())
    unheld = re.findall(r"\bcall\(\s*[^'\s]|\bpcall\(\s*(?:call|redis)\b", source)
    assert not unheld, "a command that is no literal cannot be held here"
    assert re.findall(r"\bredis\.p?call\b", source) == ["redis.call"], "commands are given by the prelude's `call`"
