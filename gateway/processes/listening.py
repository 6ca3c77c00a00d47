"""The one socket that all gateway workers accept from, and a look at their answers.

Guarantees: the socket is bound before any worker starts and stays open while workers are restarted, so a connection
that arrives meanwhile waits in its queue instead of being refused.
"""

import asyncio
import errno
import socket
from typing import Final

from redemption.domain.errors import ConflictError

BACKLOG: Final = 2_048
PROBE_SECONDS: Final = 5.0
STATUS_BYTES_MAX: Final = 4_096


class PortTaken(ConflictError):
    """The address cannot be listened on. The text says what to do."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind the socket. Port 0 takes a free one. Raises PortTaken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PortTaken(f"TONG_HOST={host} is not an address of this machine: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} of {host} is taken by another program. Set TONG_PORT to another port "
                "(0 takes a free one), or end that program."
            ) from error
        raise PortTaken(f"cannot listen on {host} port {port}: {error}. Set TONG_HOST or TONG_PORT.") from error
    return listener


def reachable_address(listener: socket.socket) -> tuple[str, int]:
    """Return host and port at which this machine reaches the listener."""
    host, port = listener.getsockname()[:2]
    # The address is compared, not bound.
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104 # nosec


def base_url(listener: socket.socket) -> str:
    host, port = reachable_address(listener)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def status_line(listener: socket.socket, path: str) -> str:
    """Return the first line of the answer to a GET, or the fault, in words."""
    host, port = reachable_address(listener)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, limit=STATUS_BYTES_MAX)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).decode(errors="replace").strip() or "closed without an answer"
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return str(error) or type(error).__name__
