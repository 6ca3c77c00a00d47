"""The limit: the hot store's own function, called without any gateway by a client that does next to nothing.

One real scan is watched with MONITOR, and its FCALL is the pattern: other members, codes, keys and ids are put in its
place, packed ahead, and written in batches over a few sockets. So this stays true when the function's arguments
change, and nothing of the product is imported. Durable as ever: each batch's replies come after its fsync.
"""

import re
import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import hiredis
from redis import Redis

from loadtest.population import member_id
from loadtest.raw_http import post_raw
from loadtest.scans import ScanMaker

WATCH_SECONDS: Final = 10.0
READ_BYTES: Final = 262_144


@dataclass(frozen=True)
class Bare:
    """Calls answered a second, with this many in flight; how many were applied."""

    calls: int
    applied: int
    seconds: float
    in_flight: int

    @property
    def rate(self) -> float:
        return self.calls / self.seconds


def watch_one_call(valkey_url: str, port: int, maker: ScanMaker) -> list[bytes]:
    """Return the FCALL behind one scan, as the server saw it."""
    with Redis.from_url(valkey_url) as client, client.monitor() as monitor:
        request = maker.make(1, hot_member=True)[0]
        status, body = post_raw(port, request.raw)
        if status != 201:
            raise RuntimeError(f"the scan to be watched was refused: {body!r}")
        deadline = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < deadline:
            command: str = monitor.next_command()["command"]
            words = command.encode().split(b" ")  # no argument has a space
            if words and words[0] == b"FCALL" and words[1].startswith(b"redeem_"):
                return words
    raise RuntimeError("MONITOR did not show the FCALL of a scan")


class CallPattern:
    """A maker of packed calls for other members after the pattern of one call."""

    def __init__(self, words: list[bytes], buckets: int, first_member: int, members: int) -> None:
        keys = int(words[2])
        self._words = words
        self._member = next(word for word in words[3:] if word.startswith(b"mem_"))
        self._number = first_member
        self._buckets = buckets
        self._members = members
        self._redemption = words[3 + keys]
        self._key = next(w for w in words[3 : 3 + keys] if b":key:" in w)
        self._code = next(w for w in words[3 : 3 + keys] if b":code:" in w)
        self._recent = next(w for w in words[3 : 3 + keys] if b":recent:" in w)
        self._digest = next(w for w in words[3 + keys :] if re.fullmatch(rb"[0-9a-f]{16}", w))
        self._count = 0

    def packed(self) -> bytes:
        """Return one more call: the next member, a code, key, basket and redemption of its own."""
        self._count += 1
        number = self._number + self._count % self._members
        unique = b"%08x" % self._count
        old, new = f"{{b{self._number % self._buckets}}}".encode(), f"{{b{number % self._buckets}}}".encode()
        who = member_id(number).encode()
        redemption = self._redemption[: -len(unique)] + unique
        made: list[bytes] = []
        for word in self._words:
            if word == self._key:
                made.append(word + b"-" + unique)
            elif word == self._code:
                made.append(new + b":code:%d:9%s" % (number, unique))
            elif word == self._recent:
                made.append(new + b":recent:" + who + word[word.rindex(b":") :])
            elif word == self._digest:
                made.append(b"%016x" % self._count)
            elif word == self._redemption or word.endswith(b":redemption:" + self._redemption):
                head = word[: -len(self._redemption)].replace(old, new)
                made.append(head + redemption)
            else:
                of_the_till = b":trm_" in word or b":out_" in word
                made.append((word if of_the_till else word.replace(old, new, 1)).replace(self._member, who))
        packed: bytes = hiredis.pack_command(tuple(made))  # type: ignore[arg-type]  # its stub: a tuple of one
        return packed


def _connected(address: SplitResult) -> socket.socket:
    if address.scheme != "unix":
        return socket.create_connection((address.hostname or "127.0.0.1", address.port or 6379))
    link = socket.socket(socket.AF_UNIX)
    link.connect(unquote(address.path))
    return link


def bare_calls(valkey_url: str, pattern: CallPattern, *, calls: int, sockets: int, batch: int) -> Bare:
    """Make this many calls over `sockets` connections, each with `batch` in flight, as fast as they are answered."""
    waiting = [b"".join(pattern.packed() for _ in range(batch)) for _ in range(max(sockets, calls // batch))]
    address = urlsplit(valkey_url)
    poll = select.epoll()
    links: dict[int, tuple[socket.socket, Any]] = {}
    for _ in range(sockets):
        link = _connected(address)
        if address.password:
            link.sendall(hiredis.pack_command(("AUTH", address.password)))  # type: ignore[arg-type]
            link.recv(READ_BYTES)
        poll.register(link.fileno(), select.EPOLLIN)
        links[link.fileno()] = (link, hiredis.Reader())
    owed = dict.fromkeys(links, batch)
    done = applied = 0
    total = len(waiting) * batch
    started = time.perf_counter()
    for link, _ in links.values():
        link.sendall(waiting.pop())
    while done < total:
        for descriptor, _ in poll.poll(10.0):
            link, reader = links[descriptor]
            reader.feed(link.recv(READ_BYTES))
            while (reply := reader.gets()) is not False:
                done += 1
                owed[descriptor] -= 1
                applied += isinstance(reply, list) and reply[1] == 0 and reply[2] == 0
            if owed[descriptor] == 0 and waiting:
                owed[descriptor] = batch
                link.sendall(waiting.pop())
    seconds = time.perf_counter() - started
    for link, _ in links.values():
        link.close()
    poll.close()
    return Bare(done, applied, seconds, sockets * batch)
