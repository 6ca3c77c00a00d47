"""README and docs/ are true.

Every file, invariant, metric, setting, command, operation and limit that a page names exists, and numbers taken from
limits are those in force.
"""

import re
from pathlib import Path

import pytest
import typer

from gateway.cli.main import app
from gateway.hot_path.verify import VerifyEndpoint
from gateway.observability.metrics import Metrics
from gateway.server.routes import routes
from gateway.settings import Settings
from redemption.domain import limits
from redemption.rules.policy import Policy
from tests.support.settlement.http import BASE
from tests.truth.test_architecture import ROOT, TOP, named_paths

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(ROOT / "docs").rglob("*.md"),
    ],
    key=str,
)
ROLES_OF_POSTGRES = {
    f"tong_{part}" for part in ("gateway", "operations", "projector", "sealer", "settlement", "writer")
}
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_METRIC = re.compile(r"`(tong_[a-z_]+)")
_SETTING = re.compile(r"\bTONG_[A-Z_]+\b")
_COMMAND = re.compile(r"`tong ([a-z][a-z-]*)")
_INVARIANT = re.compile(r"\bI(\d+)\b")
_OPERATION = re.compile(r"\b(GET|POST|DELETE|PUT|PATCH) (/[\w/{}.-]*[\w}])")
_LIMIT = re.compile(r"`((?!TONG_)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:MAX|SECONDS|DEFAULT|DAYS))`")
_LIMIT_ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| ([0-9 ]+) \|", re.MULTILINE)
_INDEXED = re.compile(r"\]\(((?:start|guides|reference|explanation|adr)/[\w./-]+\.md)\)")

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
    for page in PAGES:
        named = {int(number) for number in _INVARIANT.findall(page.read_text(encoding="utf-8"))}
        assert named <= set(defined), page.name


@by_page
def test_every_named_operation_exists(page: Path) -> None:
    served = {
        (method, re.sub(r"\{\w+\}", "{}", route.path))
        for route in routes(VerifyEndpoint.__new__(VerifyEndpoint))
        for method in route.methods or ()
    }
    named = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in _OPERATION.findall(prose(page))}
    missing = [(method, path) for method, path in named if not {(method, path), (method, BASE + path)} & served]
    assert missing == []


@by_page
def test_every_named_limit_exists(page: Path) -> None:
    named = set(_LIMIT.findall(prose(page)))
    assert {name for name in named if not hasattr(limits, name)} == set()


def spaced(number: float) -> str:
    """Return a number as the pages write it: 16 384."""
    return f"{round(number):,}".replace(",", " ")


def test_the_page_of_limits_has_the_values_in_force() -> None:
    rows = _LIMIT_ROW.findall((ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8"))
    assert len(rows) >= 50
    assert rows == [(name, spaced(getattr(limits, name))) for name, _ in rows]
    assert len({name for name, _ in rows}) == len(rows)


DAY, MINUTE, KIB, MIB = 86_400, 60, 1_024, 1_024 * 1_024
POLICY = Policy()
STATED = {
    "docs/start/concepts.md": (
        f"a number below {spaced(limits.MEMBER_NUMBERS)}",
        f"({limits.REDEMPTION_RETENTION_SECONDS // DAY} days)",
    ),
    "docs/start/integrate.md": (
        f"Within {limits.RATE_WINDOW_SECONDS} seconds a terminal may make {POLICY.terminal_rate}, "
        f"an outlet {spaced(POLICY.outlet_rate)}, and tills may ask {POLICY.member_rate} times about one member",
        f"({spaced(limits.TOMBSTONES_PER_TERMINAL)} in ten minutes)",
        f"a body of more than {limits.BODY_BYTES_MAX} bytes",
        f"more than {limits.GUESSES_PER_TERMINAL} in ten minutes",
        f"A hold lasts at most {limits.HOLD_SECONDS_MAX // DAY} days",
        f"within the last {limits.SEEN_SECONDS // MINUTE} minutes",
        f"in {limits.BILL_SECONDS // DAY} days at an outlet",
        f"({limits.DEVICES_PER_MEMBER_MAX} at most)",
        f"after more than {limits.NOTICES_MISSED_MAX} missed movements",
        f"at most {limits.CANCEL_WINDOW_SECONDS_MAX // DAY} days)",
    ),
    "docs/guides/operations.md": (
        f"at most {limits.GROUP_FILE_BYTES_MAX // MIB} MiB",
        f"may hold {spaced(limits.GROUP_FILE_MEMBERS_MAX)} members",
        f"{limits.HEAD_BYTES_MAX // KIB} KiB and {limits.HEAD_SECONDS:g} s",
        f"{limits.BODY_BYTES_OF_PERIOD // KIB} KiB in each {limits.BODY_SECONDS:g} s",
        f"(less than {limits.WRITE_BYTES_OF_PERIOD // KIB} KiB in {limits.WRITE_SECONDS:g} s)",
        f"{limits.UNREAD_BODY_BYTES_MAX // KIB} KiB are read",
        f"{limits.LINGER_SECONDS:g} s later",
    ),
    "docs/reference/rules.md": (
        f"`bill_minor` | {spaced(POLICY.earn_ceilings.bill_minor)} |",
        f"`bill_points` | {spaced(POLICY.earn_ceilings.bill_points)} |",
        f"`member_day_points` | {spaced(POLICY.earn_ceilings.member_day_points)} |",
        f"`terminal_day_points` | {spaced(POLICY.earn_ceilings.terminal_day_points)} |",
        f"earns once in {limits.BILL_SECONDS // DAY} days",
    ),
    "docs/reference/settlement.md": (
        f"have {limits.PAGE_ITEMS_DEFAULT} items (`limit` to {limits.PAGE_ITEMS_MAX})",
        f"{limits.SETTLEMENT_CALLS_MAX} calls and {limits.SETTLEMENT_TRANSFERS_MAX} files",
        f"At most {limits.TILL_LIST_BYTES_MAX // MIB} MiB, {spaced(limits.TILL_LIST_ROWS_MAX)} rows, "
        f"{limits.TILL_LIST_COLUMNS_MAX} columns",
        f"(0 to {limits.CUT_OFF_HOUR_MAX}, local time",
        f"the first {limits.RECONCILED_ITEMS_SHOWN} bills of each class",
        f"kept for {limits.RECONCILIATIONS_KEPT_DAYS} days",
        f"the newest {spaced(limits.RECONCILIATIONS_KEPT_MAX)}",
        f"further back than {limits.RECONCILED_DAYS_BACK_MAX} are refused",
    ),
    "docs/explanation/testing.md": (
        f"with {limits.LOTS_MAX} lots (`LOTS_MAX`) and a basket of {limits.LEGS_MAX} legs (`LEGS_MAX`)",
    ),
    "docs/adr/0006-what-a-code-is.md": (f"at most {limits.SLOTS_AHEAD_MAX} slots",),
    "docs/adr/0011-one-count-for-all-calls-and-a-mark-with-the-member.md": (
        f"at most {spaced(limits.CANCELLED_KEYS_MAX)}, the oldest forgotten first",
    ),
    "docs/adr/0014-lists-come-from-the-ledger-states-from-the-hot-store.md": (
        f"looks at {limits.LISTED_CANDIDATES_MAX * limits.LISTED_ROUNDS_MAX} candidates at most",
    ),
}
"""What pages say in words, with the numbers of the limits."""


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, texts in STATED.items() for text in texts])
def test_a_number_that_a_page_states_is_the_limit_in_force(page: str, text: str) -> None:
    assert text in " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_the_index_of_the_documents_names_every_page_once() -> None:
    docs = ROOT / "docs"
    indexed = _INDEXED.findall((docs / "README.md").read_text(encoding="utf-8"))
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"README.md"}
    assert sorted(indexed) == sorted(pages)


def test_decision_records_are_numbered_without_gaps_and_say_their_status() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        title, _, status, *_ = record.read_text(encoding="utf-8").splitlines()
        assert title.startswith(f"# {record.name[:4]} ")
        assert re.match(r"(Accepted|Superseded), \d{4}-\d{2}-\d{2}\.", status), record.name
