"""Compiles shim.c and drives it: a disk that loses what was not synced, an fsync that fails, a clock that is off.

A C compiler is needed; where it is missing, and this is a Debian machine's root, `apt-get install gcc libc6-dev` is
done.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.drills.drill import CannotRun

SOURCE = Path(__file__).with_name("shim.c")
COMPILE_SECONDS = 60.0
INSTALL_SECONDS = 180.0


class Shim:
    """The compiled shim and the folder through which it gets its orders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shim"
        self.folder.mkdir(mode=0o777)
        self.folder.chmod(0o777)
        self._library = _compiled()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to run under it."""
        return {"LD_PRELOAD": str(self._library), "TONG_SHIM": str(self.folder)}

    def clock(self, seconds: int) -> None:
        """The wall clock is off by so much from now on (within 100 ms)."""
        fresh = self.folder / "clock.new"
        fresh.write_text(str(seconds))
        fresh.rename(self.folder / "clock")

    def fsync_fails(self, fails: bool) -> None:
        mark = self.folder / "fsync-fails"
        if fails:
            mark.touch()
        else:
            mark.unlink()

    def cut_power(self, data: Path) -> int:
        """Takes from every file below `data` what was never synced, as a power cut may; how many bytes that were. Only
        while nobody has them open."""
        lost = 0
        for path in [path for path in data.rglob("*") if path.is_file()]:
            stat = path.stat()
            note = self.folder / f"{stat.st_dev}-{stat.st_ino}"
            if note.exists() and (kept := int(note.read_text())) < stat.st_size:
                os.truncate(path, kept)
                lost += stat.st_size - kept
        return lost


def _compiled() -> Path:
    """The shared object, compiled once for each state of the source. Raises `CannotRun`."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"tong-shim-{os.getuid()}" / f"{digest}.so"
    if library.exists():
        return library
    compiler = _compiler()
    library.parent.mkdir(mode=0o755, exist_ok=True)
    fresh = library.with_suffix(f".{os.getpid()}")
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(fresh), str(SOURCE)],
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise CannotRun(f"the shim cannot be compiled: {done.stderr[-500:]}")
    fresh.rename(library)
    return library


def _compiler() -> str:
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return found
    if os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"]):
            subprocess.run([apt, *command], capture_output=True, timeout=INSTALL_SECONDS, check=False)
        if found := shutil.which("gcc"):
            return found
    raise CannotRun("no C compiler (Debian: apt install gcc libc6-dev)")
