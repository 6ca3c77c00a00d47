"""Files that hold private keys: mode 0600, written whole or not at all.

Guarantees: a reader sees the old file or the new one, never half of one; the new one is on disk before its name is;
a file that group or others may touch is refused. Not guaranteed: two writers at once are not merged, the last one wins
(or, with `replace=False`, the first).
"""

import os
import stat
import tempfile
from pathlib import Path

from tokens.errors import KeyRingUnusable

FileState = tuple[int, int, int, int]
"""Values that change with a file: mtime_ns, ctime_ns (a corrected mode), inode, size."""


def write_private_file(path: Path, data: bytes, *, replace: bool) -> bool:
    """Write `data` with mode 0600. Returns False where the file exists already and `replace` is not set."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp: 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            Path(temporary).replace(path)
        else:
            try:
                # link, unlike rename, fails when the name is taken: two processes that start at once agree.
                os.link(temporary, path)
            except FileExistsError:
                return False
    finally:
        Path(temporary).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def read_private_file(path: Path, bytes_max: int) -> tuple[bytes, FileState]:
    """Return the content and the state it was read in.

    Raises OSError, or KeyRingUnusable for an open mode or a large file.
    """
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(status.st_mode)
            raise KeyRingUnusable(f"{path} has mode {mode:04o}: others could read its keys; chmod 600 it")
        data = stream.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise KeyRingUnusable(f"{path} is larger than {bytes_max} bytes")
    return data, file_state(status)


def file_state(status: os.stat_result) -> FileState:
    """Return the part of a file's status that shows whether it changed."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
