"""README and docs/ are true: what they name exists, be it a file, an invariant, a metric, a setting or a command."""

import re
from pathlib import Path

import pytest
import typer

from gateway.cli.main import app
from gateway.observability.metrics import Metrics
from gateway.settings import Settings
from tests.truth.test_architecture import ROOT, TOP, named_paths

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")],
    key=str,
)
ROLES_OF_POSTGRES = {"tong_gateway", "tong_operations", "tong_sealer", "tong_settlement", "tong_writer"}
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_METRIC = re.compile(r"`(tong_[a-z_]+)")
_SETTING = re.compile(r"\bTONG_[A-Z_]+\b")
_COMMAND = re.compile(r"`tong ([a-z][a-z-]*)")
_INVARIANT = re.compile(r"\bI(\d+)\b")

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


@by_page
def test_every_linked_file_exists(page: Path) -> None:
    targets = [target for target in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@by_page
def test_every_named_path_exists(page: Path) -> None:
    inside = {
        name for name in named_paths(page.read_text(encoding="utf-8")) if "/" in name and name.split("/")[0] in TOP
    }
    missing = sorted(name for name in inside if not list(ROOT.glob(name.rstrip("/"))))
    assert missing == []


@by_page
def test_every_named_metric_is_exported(page: Path) -> None:
    exported = {name for collector in Metrics().registry.collect() for name in _exposed(collector.name, collector.type)}
    named = set(_METRIC.findall(prose(page))) - ROLES_OF_POSTGRES
    assert named <= exported


def _exposed(name: str, kind: str) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
    return [name + suffix for suffix in suffixes]


@by_page
def test_every_named_command_exists(page: Path) -> None:
    group = typer.main.get_group(app)
    commands = set(group.commands)
    assert set(_COMMAND.findall(page.read_text(encoding="utf-8"))) <= commands


@by_page
def test_every_named_setting_exists(page: Path) -> None:
    known = {f"TONG_{name.upper()}" for name in Settings.model_fields}
    assert set(_SETTING.findall(page.read_text(encoding="utf-8"))) <= known


def test_the_concepts_define_each_invariant_once_and_no_page_names_another() -> None:
    concepts = (ROOT / "docs" / "start" / "concepts.md").read_text(encoding="utf-8")
    defined = [int(number) for number in re.findall(r"^\| \*\*I(\d+)\*\* \|", concepts, re.MULTILINE)]
    assert defined == list(range(1, 13))
    for page in [*PAGES, ROOT / "ARCHITECTURE.md"]:
        named = {int(number) for number in _INVARIANT.findall(page.read_text(encoding="utf-8"))}
        assert named <= set(defined), page.name
