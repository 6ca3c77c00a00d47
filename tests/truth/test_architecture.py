"""ARCHITECTURE.md is a map: every path it names is there, and it names the places of the product."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_QUOTED = re.compile(r"`([^`\n]+)`")
_LINKED = re.compile(r"\]\(([^)#\s]+)")
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"[\w.][\w.*-]*(?:/[\w.*-]+)*/?")
TOP = {"gateway", "membership", "redemption", "tokens", "loadtest", "tests", "docs", "deploy"}
SUFFIXES = {".py", ".lua", ".sql", ".md", ".toml", ".yaml", ".yml", ".lock"}


def named_paths(text: str) -> set[str]:
    """What is written as a path: in backticks or as the target of a link; never an address, a route or a command."""
    found = set()
    for name in [*_QUOTED.findall(_BLOCK.sub("", text)), *_LINKED.findall(text)]:
        if _PATH.fullmatch(name) is None:
            continue
        first, slash, _ = name.partition("/")
        if (slash and first in TOP) or Path(name).suffix in SUFFIXES:
            found.add(name)
    return found


def test_every_path_that_the_architecture_names_exists() -> None:
    page = ROOT / "ARCHITECTURE.md"
    assert page.exists(), "ARCHITECTURE.md is missing"
    names = named_paths(page.read_text(encoding="utf-8"))
    assert len(names) >= 20, "ARCHITECTURE.md names hardly any path"
    missing = sorted(name for name in names if not list(ROOT.glob(name.rstrip("/"))))
    assert not missing, f"ARCHITECTURE.md names what is not there: {missing}"


def test_every_package_of_the_product_has_its_place_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = [
        folder.relative_to(ROOT).as_posix()
        for top in ("gateway", "membership", "redemption", "tokens", "loadtest")
        for folder in sorted(path.parent for path in (ROOT / top).rglob("__init__.py"))
    ]
    assert len(packages) >= 8
    unnamed = [package for package in packages if f"{package}/" not in text]
    assert not unnamed, f"an engineer would not find {unnamed}"


@pytest.mark.parametrize("module", sorted((ROOT / "gateway/hot_path").glob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_hot_path_names_its_benchmark(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    assert "make bench" in docstring or "tests.measure_path" in docstring


def test_the_check_tells_paths_from_other_things() -> None:
    text = (
        "`gateway/server/app.py` [x](docs/adr/0001-x.md) `/v1/verify` `make run` `README.md` `redis.call` "
        "https://a/b.md `tests/*/`"
    )
    assert named_paths(text) == {"gateway/server/app.py", "docs/adr/0001-x.md", "README.md", "tests/*/"}
