"""One HTTP request over a socket of its own, for the few that are made outside the load."""

import socket
from typing import Final

TIMEOUT_SECONDS: Final = 10.0


def post_raw(port: int, raw: bytes) -> tuple[int, bytes]:
    """Send the bytes. Returns status and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as link:
        link.sendall(raw)
        data = b""
        while True:
            data += link.recv(65_536)
            head, separator, body = data.partition(b"\r\n\r\n")
            if not separator:
                continue
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if len(body) >= int(lengths[0].partition(b":")[2]):
                return int(data[9:12]), body
