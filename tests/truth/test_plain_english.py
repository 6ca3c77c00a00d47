"""Docstrings begin in plain English and messages are in it: a verb and its object, or a noun phrase.

The patterns are the ones that the prose had become a dialect of; each hides who does what.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("gateway", "redemption", "tokens", "loadtest")
BEGINNINGS = re.compile(r"(What|Whether|Where|Who|Whom|Whose|Why|Which|How|The same|That|One of them)\b")
DIALECT = re.compile(
    r"\b(comes? to|came to|(is|are|was|were|been) told|that there (is|are|was|were)|stands?|stood)\b(?! for)"
)
"""`that stands for` and `what it came to be` are two of the few good uses; none of them is in a first line."""


def files() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the tree of every module."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def first_line_fault(docstring: str) -> str | None:
    """Return the first line of a docstring where it is dialect."""
    line = docstring.strip().partition("\n")[0]
    return line if BEGINNINGS.match(line) or DIALECT.search(line) else None


def docstring_faults(tree: ast.Module) -> list[str]:
    """Return the first lines in a module that are dialect, with their places."""
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            line = first_line_fault(ast.get_docstring(node) or "")
            if line is not None:
                faults.append(f"{node.body[0].lineno}: {line}")
    return faults


def message_faults(tree: ast.Module) -> list[str]:
    """Return the texts in a module, but for docstrings, that are dialect: API messages, descriptions, help, logs."""
    docstrings = {
        id(each.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for each in node.body
        if isinstance(each, ast.Expr)
    }
    return [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and " " in node.value
        and DIALECT.search(node.value)
    ]


def faults_by_place(found: dict[str, list[str]]) -> list[str]:
    return [f"{path}:{fault}" for path, faults in found.items() for fault in faults]


def test_docstrings_begin_in_plain_english() -> None:
    assert faults_by_place({path: docstring_faults(tree) for path, tree in files()}) == []


def test_messages_are_in_plain_english() -> None:
    assert faults_by_place({path: message_faults(tree) for path, tree in files()}) == []


def test_english_texts_beside_the_code_are_plain() -> None:
    found = {
        file.relative_to(ROOT).as_posix(): [
            line for line in file.read_text(encoding="utf-8").splitlines() if line.isascii() and DIALECT.search(line)
        ]
        for file in (ROOT / "gateway").rglob("*.toml")
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_dialect_line_is_found() -> None:
    tree = ast.parse(
        'def f() -> None:\n    """What is there now stays."""\n    raise Problem("stands twice in one object")\n'
    )
    assert docstring_faults(tree) == ["2: What is there now stays."]
    assert message_faults(tree) == ["3: stands twice in one object"]
    assert first_line_fault("Return whether the key may read these businesses' data.") is None
