"""Files of the development stack that only its owner may read.

Guarantees: a file appears whole or not at all (written aside, synced, renamed) with mode 0600 from its
first byte on.
"""

import os
import secrets
import socket
from pathlib import Path
from typing import Final

SOCKET_PATH_BYTES_MAX: Final = 107
"""The size of `sun_path` of unix(7)."""


def private_folder(path: Path) -> Path:
    """Make the folder (and its parents) if missing; itself open to its owner only."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replace the file's content in one step."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def kept_secret(path: Path) -> str:
    """Return a random secret, made at the first call and kept in the file."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()


def kept_port(path: Path) -> int:
    """Return a free port of 127.0.0.1, kept in the file and changed only where something else listens on it."""
    try:
        port = int(path.read_text())
    except (FileNotFoundError, ValueError):
        port = 0
    if not (1024 <= port <= 65_535 and _is_free(port)):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        write_private(path, str(port).encode())
    return port


def fits_a_socket(path: Path) -> bool:
    """Return whether a Unix socket can have this path."""
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
