"""Open loop: requests at a constant rate, whatever the answers do; latency from the moment a request was due.

A generator that waits for a slow answer before it asks again leaves out the requests that would have been slow
("coordinated omission", G. Tene, 2013). Here the schedule is fixed beforehand, evenly spaced. A request that finds
every connection busy waits, and its latency counts from when it was due, so a stall is felt by each request that was
due while it lasted. What the generator itself is late is in the figures too (`late_p99` tells it).

One thread sleeps and sends (clock_nanosleep is good to 0.1 ms, an event loop's timers only to 1 ms), one reads.
"""

import gc
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from loadtest.scans import Request

READ_BYTES: Final = 65_536
GRACE_SECONDS: Final = 15.0
_LENGTH: Final = b"content-length: "


@dataclass(frozen=True)
class Open:
    """Figures in milliseconds.

    `answers` are (key, status, body) in the order of their coming, `latencies` (seconds) in the same order.
    """

    asked_rate: float
    rate: float
    p50: float
    p95: float
    p99: float
    p999: float
    maximum: float
    late_p99: float
    unanswered: int
    answers: list[tuple[str, int, bytes]]
    latencies: list[float]


class _Connection:
    __slots__ = ("buffer", "due", "key", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=GRACE_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0
        self.key = ""


class _Generator:
    def __init__(self, port: int, requests: list[Request], rate: float, connections: int) -> None:
        self.requests = requests
        self.rate = rate
        self.free = deque(_Connection(port) for _ in range(connections))
        self.by_descriptor = {each.sock.fileno(): each for each in self.free}
        self.waiting: deque[tuple[float, Request]] = deque()
        self.lock = threading.Lock()
        self.latencies: list[float] = []
        self.lateness: list[float] = []
        self.answers: list[tuple[str, int, bytes]] = []
        self.started = 0.0
        self.ended = 0.0

    def _ask(self, connection: _Connection, due: float, request: Request) -> None:
        connection.due, connection.key = due, request.key
        connection.sock.sendall(request.raw)

    def send(self) -> None:
        """Run the sending thread: one request at each due moment."""
        step, clock = 1.0 / self.rate, time.perf_counter
        self.started = due = clock()
        for request in self.requests:
            wait = due - clock()
            if wait > 0:
                time.sleep(wait)
            self.lateness.append(clock() - due)
            with self.lock:
                connection = self.free.popleft() if self.free else None
                if connection is None:
                    self.waiting.append((due, request))
            if connection is not None:
                self._ask(connection, due, request)
            due += step

    def read(self) -> None:
        """Run the reading thread: until every request was answered, or the grace is over."""
        poll = select.epoll()
        for descriptor in self.by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        deadline = time.perf_counter() + len(self.requests) / self.rate + GRACE_SECONDS
        while len(self.latencies) < len(self.requests) and time.perf_counter() < deadline:
            for descriptor, _ in poll.poll(0.2):
                self._answered(self.by_descriptor[descriptor], poll)
        self.ended = time.perf_counter()
        poll.close()
        for connection in self.by_descriptor.values():
            connection.sock.close()

    def _answered(self, connection: _Connection, poll: select.epoll) -> None:
        data = connection.sock.recv(READ_BYTES)
        now = time.perf_counter()
        if not data:
            poll.unregister(connection.sock.fileno())  # the server closed it: requests on it stay unanswered
            return
        whole = connection.buffer + data
        head = whole.find(b"\r\n\r\n")
        place = whole.find(_LENGTH, 0, head) if head > 0 else -1
        if head < 0 or place < 0:
            connection.buffer = whole
            return
        length = int(whole[place + len(_LENGTH) : whole.index(b"\r\n", place)])
        if len(whole) < head + 4 + length:
            connection.buffer = whole
            return
        connection.buffer = b""
        self.latencies.append(now - connection.due)
        self.answers.append((connection.key, int(whole[9:12]), whole[head + 4 :]))
        with self.lock:
            following = self.waiting.popleft() if self.waiting else None
            if following is None:
                self.free.append(connection)
        if following is not None:
            self._ask(connection, *following)


def open_loop(port: int, requests: list[Request], *, rate: float, connections: int) -> Open:
    """Send every request once at `rate` a second."""
    generator = _Generator(port, requests, rate, connections)
    reader = threading.Thread(target=generator.read)
    gc.collect()
    gc.disable()  # 20 000 answers are kept; a collection in the middle would be counted as the server's latency
    try:
        reader.start()
        generator.send()
        reader.join()
    finally:
        gc.enable()
    latencies, lateness = sorted(generator.latencies), sorted(generator.lateness)
    return Open(
        asked_rate=rate,
        rate=len(latencies) / (generator.ended - generator.started),
        p50=percentile(latencies, 50) * 1000,
        p95=percentile(latencies, 95) * 1000,
        p99=percentile(latencies, 99) * 1000,
        p999=percentile(latencies, 99.9) * 1000,
        maximum=latencies[-1] * 1000 if latencies else float("nan"),
        late_p99=percentile(lateness, 99) * 1000,
        unanswered=len(requests) - len(latencies),
        answers=generator.answers,
        latencies=generator.latencies,
    )


def percentile(ordered: list[float], percent: float) -> float:
    """Return a percentile by nearest rank."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
