"""The checks of a request's head that the parser does not make (why: gateway/server/protocol.py)."""

import re
from typing import Final

from redemption.domain.limits import HEAD_BYTES_MAX

ONCE: Final = frozenset({b"authorization", b"content-type", b"host", b"idempotency-key", b"transfer-encoding"})
"""Headers that say who asks for what: of two, one reader may believe the first and another the second."""
TOO_LARGE: Final = f"the head may have {HEAD_BYTES_MAX} bytes"

# uri-host [ ":" port ] of RFC 3986, 3.2.2; empty where the target has no authority (RFC 9112, 3.2).
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")


def objection(
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    last: dict[bytes, bytes],
    version: str,
    checked_host: bytes | None,
) -> str | None:
    """Return why a complete head is refused, or None. `last` has the last value of each header.

    A caller names the same host in every request: `checked_host` is the connection's last good one, for speed
    (`make bench`).
    """
    size = len(url)
    for name, value in headers:
        size += len(name) + len(value)
    if size > HEAD_BYTES_MAX:
        return TOO_LARGE
    if len(last) != len(headers):
        names = [name for name, _ in headers]
        for name in ONCE:
            if names.count(name) > 1:
                return f"the header {name.decode()} is a duplicate"
    host = last.get(b"host")
    if host is None and version != "1.0":
        return "the header host is missing"
    if host is not None and host != checked_host and _HOST.fullmatch(host) is None:
        return "the header host names no host"
    framing = last.get(b"transfer-encoding")
    # What a reader before us may have framed in another way.
    if framing is not None and framing.lower() != b"chunked":
        return "the header transfer-encoding may only be chunked"
    if framing is not None and version == "1.0":
        return "HTTP/1.0 has no header transfer-encoding"
    return None
