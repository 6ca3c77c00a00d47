"""Every function, class, method, attribute and variable of the repository is used somewhere in it (vulture)."""

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

import pytest
from vulture import Vulture

from redemption.hot.library import LUA_LIMITS

ROOT = Path(__file__).parents[2]
FOLDERS = ("gateway", "redemption", "tokens", "loadtest", "tests")
DECORATORS = [
    *("@*.command", "@*.callback"),
    *("@pytest.fixture*", "@rule*", "@invariant*", "@initialize*", "@precondition*"),
    *("@task*", "@events.*"),
]
"""What these decorate is called by Typer, pytest, Hypothesis and Locust."""
BY_NAME = {
    "data_received": "asyncio.Protocol",
    "eof_received": "asyncio.Protocol",
    "on_header": "httptools' parser",
    "capture_signals": "uvicorn.Server",
    "should_exit": "uvicorn.Server",
    "total_requests": "uvicorn's state of a server",
    "redirect_slashes": "Starlette's router",
    "resolve_public_key": "http_message_signatures",
    "validate_created_and_expires": "http_message_signatures",
    "max_age": "http_message_signatures",
    "points_with_bonus": "read by position, as a pair",
    "show_version": "Typer: an option whose callback does the work",
    "model_config": "pydantic_settings",
    "wait_time": "Locust",
    "abstract": "Locust",
    "connection_timeout": "Locust",
    "network_timeout": "Locust",
    "on_stop": "Locust",
    "handle_starttag": "html.parser",
    "handle_endtag": "html.parser",
    "handle_data": "html.parser",
    "do_GET": "http.server",
    "log_message": "http.server",
    "handle_error": "socketserver",
    "client_address": "socketserver",
    "pytest_*": "pytest's hooks",
}
"""Names that a library calls or reads, and who does."""


def fields_of_structs() -> Iterator[tuple[Path, int]]:
    """Yield file and line of each field of a msgspec Struct: the encoder and the decoder use it, no code has to."""
    structs = {"Struct", "msgspec.Struct"}
    trees = {file: ast.parse(file.read_text()) for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}
    classes = [
        (file, node) for file, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    grew = True
    while grew:
        found = {node.name for _, node in classes if structs.intersection(ast.unparse(base) for base in node.bases)}
        grew = not found <= structs
        structs |= found
    for file, node in classes:
        if node.name in structs:
            yield from ((file, each.lineno) for each in node.body if isinstance(each, ast.AnnAssign))


@pytest.fixture(scope="module")
def unused() -> list[tuple[str, str]]:
    """Return the place and the name of all that nothing in the repository uses, before BY_NAME."""
    vulture = Vulture(ignore_decorators=DECORATORS)
    vulture.scavenge([str(ROOT / folder) for folder in FOLDERS])
    fields = set(fields_of_structs())
    return [
        (f"{Path(item.filename).relative_to(ROOT)}:{item.first_lineno} {item.typ}", item.name)
        for item in vulture.get_unused_code()
        if (Path(item.filename), item.first_lineno) not in fields and item.name not in LUA_LIMITS
    ]


def test_nothing_is_unused(unused: list[tuple[str, str]]) -> None:
    assert [found for found in unused if not any(fnmatch.fnmatch(found[1], name) for name in BY_NAME)] == []


def test_every_exception_is_needed(unused: list[tuple[str, str]]) -> None:
    names = [name for _, name in unused]
    assert [name for name in BY_NAME if not fnmatch.filter(names, name)] == []
