"""What Lua and Python must agree on: names and order of keys and arguments, outcome numbers, limits."""

import functools
import inspect
import re
from importlib import resources
from typing import Any

import pytest

from gateway.problems.documents import KIND_OF_OUTCOME, KINDS
from redemption.domain import limits
from redemption.domain.outcomes import EarnCeiling, Outcome, RateSubject
from redemption.hot.library import FUNCTION_FILES, LUA_LIMITS, SHARED_FILES, assemble, signature
from redemption.hot.store import HotStore
from tests.mutations import MUTATIONS, Mutation
from tests.support.engine.driver import changed_source

FOLDER = resources.files("redemption.hot") / "functions"
WRITTEN_OUT = {"redeem": "redeem"}
"""Functions that have a method of their own; all others are called by name with named arguments."""
CALLS_NO_FUNCTION = {"read", "read_many", "read_fields", "entries_after"}
"""Methods of HotStore that send a command of the server."""
NOT_SENT = ("self", "deadline_seconds")


def lua_files() -> dict[str, str]:
    return {
        entry.name.removesuffix(".lua"): entry.read_text(encoding="utf-8")
        for entry in FOLDER.iterdir()
        if entry.name.endswith(".lua")
    }


def names_of(name: str) -> list[str]:
    """Keys and arguments as the Lua file's header has them."""
    contract = signature(lua_files()[name])
    return [key.removesuffix("...") for key in contract.keys] + list(contract.args)


def test_no_method_of_the_hot_store_is_left_out_here() -> None:
    public = {name for name, _ in inspect.getmembers(HotStore, inspect.isfunction) if not name.startswith("_")}
    assert public == {"call", *WRITTEN_OUT.values(), *CALLS_NO_FUNCTION}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_methods_keywords_are_the_lua_files_keys_and_arguments_in_order(name: str) -> None:
    parameters = inspect.signature(getattr(HotStore, WRITTEN_OUT[name])).parameters
    assert [parameter for parameter in parameters if parameter not in NOT_SENT] == names_of(name)
    kinds = {parameter.kind for key, parameter in parameters.items() if key != "self"}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


class Recorded(Exception):
    """Carries what would have been sent."""

    def __init__(self, sent: tuple[bytes | str | int, ...]) -> None:
        super().__init__("recorded")
        self.sent = sent


class Recorder:
    """Stands where the connection is and lets nothing through."""

    async def execute(self, *args: bytes | str | int, deadline_seconds: float) -> object:
        raise Recorded(args)


@pytest.mark.parametrize("name", FUNCTION_FILES)
async def test_every_keyword_is_sent_in_the_place_that_the_lua_file_gives_it(name: str) -> None:
    library = assemble()
    contract, store = signature(lua_files()[name]), HotStore(Recorder(), library)
    values = {parameter: f"<{parameter}>" for parameter in names_of(name)}
    shuffled: dict[str, Any] = dict(reversed(values.items()))
    if contract.keys and contract.keys[-1].endswith("..."):
        many = contract.keys[-1].removesuffix("...")
        shuffled[many] = [values[many]]
    ask = getattr(store, WRITTEN_OUT[name]) if name in WRITTEN_OUT else functools.partial(store.call, name)
    with pytest.raises(Recorded) as recorded:
        await ask(**shuffled, deadline_seconds=1.0)
    command, function, count, *rest = recorded.value.sent
    assert command == ("FCALL_RO" if "no-writes" in contract.flags else "FCALL")
    assert function == library.function(name)
    assert count == len(contract.keys)
    assert rest == list(values.values())


@pytest.mark.parametrize("name", [name for name in FUNCTION_FILES if name not in WRITTEN_OUT])
async def test_a_name_too_few_or_too_many_is_a_type_error_and_nothing_is_sent(name: str) -> None:
    store, values = HotStore(Recorder(), assemble()), dict.fromkeys(names_of(name), "x")
    for wrong in ({**values, "colour": "x"}, dict.fromkeys(list(values)[1:], "x")):
        with pytest.raises(TypeError):
            await store.call(name, **wrong, deadline_seconds=1.0)


def test_every_lua_file_is_a_function_or_shared() -> None:
    assert set(lua_files()) == {*FUNCTION_FILES, *SHARED_FILES}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.guard)
def test_a_mutation_finds_the_guard_that_it_takes_out(mutation: Mutation) -> None:
    for name, pairs in mutation.changes.items():
        assert changed_source(name, pairs) != changed_source(name, [])


@pytest.mark.parametrize("name", sorted(lua_files()))
def test_outcomes_and_limits_used_in_lua_exist_in_python(name: str) -> None:
    text = lua_files()[name]
    for table, values in (("OUTCOME", Outcome), ("RATE_SUBJECT", RateSubject), ("EARN_CEILING", EarnCeiling)):
        for used in re.findall(rf"\b{table}\.(\w+)", text):
            assert used in values.__members__
    for used in re.findall(r"\b(?:LIMIT|SECONDS)\.(\w+)", text):
        assert used in LUA_LIMITS
        assert isinstance(getattr(limits, used), int)


def test_every_limit_given_to_lua_is_used_there() -> None:
    used = set(re.findall(r"\b(?:LIMIT|SECONDS)\.(\w+)", "\n".join(lua_files().values())))
    assert used == set(LUA_LIMITS)


def test_the_library_holds_the_numbers_of_python() -> None:
    source = assemble().source
    for outcome in Outcome:
        assert re.search(rf"\b{outcome.name} = {outcome.value}\b", source)
    for name in LUA_LIMITS:
        assert re.search(rf"\b{name} = {getattr(limits, name)}\b", source)


@pytest.mark.parametrize("name", sorted(lua_files()))
def test_a_lua_file_opens_with_purpose_and_reads_no_argument_by_number(name: str) -> None:
    text = lua_files()[name]
    assert text.startswith("-- ")
    assert not re.search(r"\b(ARGV|KEYS)\[\d", text)
    if name not in SHARED_FILES:
        assert re.search(r"^-- (keys|args): ", text, re.MULTILINE)
        assert re.search(r"^-- returns: ", text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(lua_files()))
def test_no_caller_text_reaches_an_error_of_lua(name: str) -> None:
    """Errors are constants, so a reply can never carry what a caller sent."""
    for fault in re.findall(r"error\(([^\n]*)\)", lua_files()[name]):
        assert re.fullmatch(r"\{err = '[A-Z]+ [^']*'\}", fault), fault


@pytest.mark.parametrize("name", FUNCTION_FILES)
def test_nothing_is_refused_once_the_ledger_has_its_entry(name: str) -> None:
    """Lua has no rollback, and the XADD is the first write: no error is raised after it."""
    _, _, after = lua_files()[name].partition("\nappend(ledger")
    assert "error(" not in after


def test_every_refusal_of_the_domain_has_a_place_at_the_edge_or_is_not_made_yet() -> None:
    order = [kind for kind in KINDS.values() if kind.status in {409, 422} and kind in KIND_OF_OUTCOME.values()]
    numbers = [Outcome[kind.code.upper()] for kind in order]
    assert numbers == sorted(numbers), "the edge's table is in the order of precedence"
    made = set(re.findall(r"\bOUTCOME\.(\w+)", "\n".join(lua_files().values())))
    inside = {"MEMBER_MISSING", "LIMIT_REACHED", "NOT_FOUND"}
    assert {name for name in made - inside if name.lower() not in KINDS} == set()
