"""The container image has the whole product and nothing else: neither the development stack nor the load test."""

import ast
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
DEVELOPMENT = "gateway.development"


def is_sent(path: str) -> bool:
    """Return whether Docker gets this path to build from: the last line that matches it, or a folder above, decides."""
    above = [path, *(str(parent) for parent in Path(path).parents)]
    sent = True
    for line in IGNORED:
        if any(fnmatch(each, line.removeprefix("!")) for each in above):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize("package", WHEEL)
def test_every_package_of_the_wheel_is_sent_and_copied(package: str) -> None:
    assert is_sent(f"{package}/__init__.py")
    assert f"COPY {package} {package}\n" in DOCKERFILE


@pytest.mark.parametrize("path", ["gateway/development/stack.py", "loadtest/__init__.py", "tests/conftest.py"])
def test_development_load_test_and_tests_are_not_sent(path: str) -> None:
    assert (ROOT / path).exists()
    assert not is_sent(path)


def test_the_load_test_is_no_package_of_the_wheel_and_is_not_copied() -> None:
    assert "loadtest" not in WHEEL
    assert "COPY loadtest" not in DOCKERFILE


def test_what_only_development_and_load_test_need_is_not_locked_for_production() -> None:
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    extras = PROJECT["project"]["optional-dependencies"]
    names = [
        requirement.partition(">=")[0] for extra in ("development", "load", "test") for requirement in extras[extra]
    ]
    assert [name for name in names if f"\n{name}==" in f"\n{locked}"] == []


def test_commands_import_the_development_stack_only_when_they_run() -> None:
    for path in sorted((ROOT / "gateway" / "cli").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                assert not node.module.startswith(DEVELOPMENT), path.name


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as the image has them."""
    folder = tmp_path_factory.mktemp("image")
    for package in WHEEL:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "web", "built", "development")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


@pytest.mark.parametrize(
    ("command", "status", "printed"),
    [
        ("up", 2, "not part of this installation"),
        ("demo", 2, "not part of this installation"),
        ("migrate --help", 0, ""),
    ],
)
def test_in_the_image_a_command_works_or_says_that_development_is_not_there(
    image: Path, command: str, status: int, printed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli.main import main; main()", *command.split()],
        cwd=image,
        env={"PATH": "/usr/bin:/bin", "TONG_HOME": str(image / "home"), "PYTHONPATH": str(image)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert printed in done.stderr
    assert "Traceback" not in done.stderr
