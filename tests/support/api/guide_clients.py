"""The packages that the typed clients of docs/start/integrate.md need, installed once, by hash, outside the product.

npm's come by tests/clients/package-lock.json, pip's by requirements-clients.lock into `.clients`: the generator wants
an older typer than the product has. `make test` does so first: `python -m tests.support.api.guide_clients`.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.pages.build import npm_command

ROOT = Path(__file__).parents[3]
CLIENTS = ROOT / "tests" / "clients"
ENVIRONMENT = ROOT / ".clients"
LOCK = ROOT / "requirements-clients.lock"
INSTALL_SECONDS = 600


def node_modules() -> Path:
    """The folder of npm's packages; installed when the lock changed."""
    folder = CLIENTS / "node_modules"
    with _installing(folder / ".installed", CLIENTS / "package-lock.json") as needed:
        if needed:
            _run(*npm_command(), "ci", "--no-progress", "--loglevel=error", folder=CLIENTS)
    return folder


def clients_environment() -> Path:
    """The environment with openapi-python-client; made anew when the lock changed."""
    with _installing(ENVIRONMENT / ".installed", LOCK) as needed:
        if needed:
            _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
            pip = (str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
            _run(*pip, "install", "--no-input", "--no-compile", "--require-hashes", "--no-deps", "-r", str(LOCK))
    return ENVIRONMENT


def node_path(folder: Path) -> str:
    """Where `node` and `npx` are found; what the node of a wheel lacks is put into `folder`."""
    command = npm_command()
    found = Path(command[0]).parent
    if not (found / "npx").exists():
        folder.mkdir(exist_ok=True)
        npx = Path(command[-1]).with_name("npx-cli.js")
        node = found / "node"
        (folder / "npx").write_text(f'#!/bin/sh\nexec {shlex.quote(str(node))} {shlex.quote(str(npx))} "$@"\n')
        (folder / "npx").chmod(0o755)
    return f"{found}:{folder}"


@contextmanager
def _installing(mark: Path, lock: Path) -> Iterator[bool]:
    """Whether it has to be installed; one process at a time, and noted when it is done."""
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with (CLIENTS / ".install-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text() == wanted:
            yield False
            return
        yield True
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(wanted)


def _run(*command: str, folder: Path = ROOT) -> None:
    assert shutil.which(command[0]), f"{command[0]} is not there"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(command[0]).parent}:{os.environ.get('PATH', os.defpath)}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


if __name__ == "__main__":
    node_modules()
    clients_environment()
