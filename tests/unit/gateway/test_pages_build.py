"""The builder of the pages: when it builds, what it leaves alone, and what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.pages import build as builder

# Stands where npm does: writes one page for `run … build`, nothing for the rest; fails where a file says so.
NPM = """#!/bin/sh
[ -e fails ] && { echo 'a fault of the sources'; exit 1; }
case "$*" in
  *build*) mkdir -p "$TONG_PAGES_OUT"; cp page.html "$TONG_PAGES_OUT/page.html";;
  *ci*) mkdir -p node_modules;;
esac
echo "$*" >> ../calls
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of one page with an npm of their own."""
    web = tmp_path / "web"
    web.mkdir()
    (web / "page.html").write_text("one")
    (web / "package-lock.json").write_text("{}")
    npm = tmp_path / "npm"
    npm.write_text(NPM)
    npm.chmod(0o755)
    monkeypatch.setattr(builder, "SOURCES", web)
    monkeypatch.setattr(builder, "BUILT", tmp_path / "built")
    monkeypatch.setattr(builder, "_npm", lambda: [str(npm)])
    return tmp_path


def calls(place: Path) -> list[str]:
    return (place / "calls").read_text().splitlines()


def test_pages_are_built_once_and_again_when_a_source_changed(place: Path) -> None:
    assert builder.main([]) == 0
    assert (place / "built" / "page.html").read_text() == "one"
    assert builder.main([]) == 0
    assert len(calls(place)) == 2  # ci, build
    (place / "web" / "page.html").write_text("two")
    assert builder.main([]) == 0
    assert (place / "built" / "page.html").read_text() == "two"
    assert len(calls(place)) == 3  # the packages were there


def test_packages_are_installed_again_when_their_lock_changed(place: Path) -> None:
    assert builder.main([]) == 0
    (place / "web" / "package-lock.json").write_text("{ }")
    assert builder.main([]) == 0
    assert sum("ci" in call.split() for call in calls(place)) == 2


def test_a_build_that_fails_leaves_the_one_before(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder.main([]) == 0
    (place / "web" / "fails").touch()
    assert builder.main([]) == 1
    assert "a fault of the sources" in capsys.readouterr().err
    assert (place / "built" / "page.html").read_text() == "one"
    (place / "web" / "fails").unlink()
    assert builder.main([]) == 0


def test_an_installation_without_sources_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (place / "web").iterdir():
        path.unlink()
    (place / "web").rmdir()
    assert builder.main([]) == 1
    assert "not part of this installation" in capsys.readouterr().err


def test_it_runs_alone_as_the_container_image_runs_it() -> None:
    script = Path(builder.__file__)
    done = subprocess.run([sys.executable, "-I", str(script), "nonsense"], capture_output=True, text=True, check=False)
    assert (done.returncode, "usage" in done.stderr) == (2, True)
