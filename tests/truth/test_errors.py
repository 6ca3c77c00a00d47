"""The exceptions of the product form the trees drawn in redemption/domain/errors.py and tokens/errors.py."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from redemption.domain import errors as product_errors
from tokens import errors as token_errors

ROOT = Path(__file__).parents[2]
TREES = {
    ("gateway", "redemption", "membership"): (product_errors.__doc__ or "", "TongError"),
    ("tokens",): (token_errors.__doc__ or "", "TokensError"),
}
WITH_ERROR_SUFFIX = {
    "TongError",
    "ConfigurationError",
    "StorageError",
    "ConflictError",
    "RefusedError",
    "TokensError",
}
OUTSIDE = {"gateway/pages/build.py": "BuildFailed"}
"""A build stage runs this file by itself, without the product; so its exception cannot have a base of the product."""

STANDARD = {
    name for name, found in vars(builtins).items() if isinstance(found, type) and issubclass(found, BaseException)
}
DRAWN = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>_?[A-Z]\w+)(?: {2,}\S.*)?$")
INDENT = 4


def classes_of(packages: tuple[str, ...]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the file, the name and the names of the bases of each class."""
    for package in packages:
        for file in sorted((ROOT / package).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    yield path, node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def exceptions_of(packages: tuple[str, ...]) -> dict[str, set[str]]:
    """Return the bases of each exception class by its name; a name found twice has the bases of both."""
    found: dict[str, set[str]] = {}
    known = STANDARD | WITH_ERROR_SUFFIX
    classes = [entry for entry in classes_of(packages) if OUTSIDE.get(entry[0]) != entry[1]]
    grew = True
    while grew:
        grew = False
        for _, name, bases in classes:
            if known.intersection(bases) and not set(bases) <= found.get(name, set()):
                found.setdefault(name, set()).update(bases)
                known.add(name)
                grew = True
    return found


def drawn_in(text: str) -> dict[str, str | None]:
    """Return the parent of each class in a drawn tree by its name; None for the root."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in text.splitlines():
        match = DRAWN.match(line)
        if match is None or (not match["branch"] and path):
            continue
        depth = len(match["branch"]) // INDENT
        path[depth:] = [match["name"]]
        assert match["name"] not in parents, f"{match['name']} is drawn twice"
        parents[match["name"]] = path[depth - 1] if depth else None
    return parents


def differences(found: Mapping[str, set[str]], drawn: Mapping[str, str | None], root: str) -> list[str]:
    """Return a sentence for each class that is not in the tree as it is drawn."""
    wrong = [f"{name} is drawn and is no exception of the product" for name in drawn.keys() - found.keys()]
    for name, bases in found.items():
        if name == root:
            continue
        if name not in drawn:
            wrong.append(f"{name}({', '.join(sorted(bases))}) is not drawn")
        elif drawn[name] not in bases:
            wrong.append(f"{name} is drawn below {drawn[name]} and derives from {', '.join(sorted(bases))}")
    return sorted(wrong)


@pytest.mark.parametrize("packages", TREES, ids="+".join)
def test_every_exception_is_in_the_drawn_tree(packages: tuple[str, ...]) -> None:
    text, root = TREES[packages]
    drawn = drawn_in(text)
    assert drawn[root] is None
    assert differences(exceptions_of(packages), drawn, root) == []


@pytest.mark.parametrize("packages", TREES, ids="+".join)
def test_only_roots_and_branches_end_in_error(packages: tuple[str, ...]) -> None:
    assert [n for n in exceptions_of(packages) if n.endswith("Error") and n not in WITH_ERROR_SUFFIX] == []


def test_a_class_outside_the_tree_and_one_missing_in_the_drawing_are_found() -> None:
    drawn = drawn_in("TongError\n├── StorageError  a store\n│   └── Lost       a thing\n└── Drawn      only a name\n")
    found = {"TongError": {"Exception"}, "StorageError": {"TongError"}, "Lost": {"Exception"}, "New": {"StorageError"}}
    assert differences(found, drawn, "TongError") == [
        "Drawn is drawn and is no exception of the product",
        "Lost is drawn below StorageError and derives from Exception",
        "New(StorageError) is not drawn",
    ]
