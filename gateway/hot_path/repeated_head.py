"""The head of a connection's last scan: one that repeats it is not parsed again.

Written for speed, measured by `make bench`: a till sends the same head with each scan, but for its key and the length
of the body, and a proxy the same for many tills, whose API keys differ; the parser would call back for every line.

Guarantees: taken is only what the parser would read alike. Each line is, byte for byte, that of a head on this
connection which was parsed, checked and taken by the fast path, in the same order; the values that vary have one
reading only; the body is as long as the head says, and nothing comes behind it.
"""

import re
from typing import Any, Final, Self

Header = tuple[bytes, bytes]
_LENGTH: Final = b"content-length"
_VARYING: Final = {
    b"authorization": re.compile(rb"[!-~]{1,32} [!-~]{1,480}"),
    b"idempotency-key": re.compile(rb"[!-~]{1,255}"),
    _LENGTH: re.compile(rb"[0-9]{1,5}"),
}
_END: Final = b"\r\n\r\n"


class RepeatedHead:
    """The lines of a head with the scope that was parsed of it."""

    __slots__ = ("_headers", "_lines", "_scope", "_varying")

    def __init__(self, lines: list[bytes], scope: dict[str, Any]) -> None:
        self._lines = lines
        self._scope = scope
        self._headers: list[Header] = scope["headers"]
        self._varying = [
            (place, name, lines[place + 1].removesuffix(value), _VARYING[name].fullmatch)
            for place, (name, value) in enumerate(self._headers)
            if name in _VARYING
        ]

    @classmethod
    def of(cls, request: bytes, scope: dict[str, Any]) -> Self | None:
        """Return the head of a whole request with its scope, which nothing has changed since it was parsed.

        Returns None for a head that cannot be compared line by line.
        """
        lines = request[: request.find(_END)].split(b"\r\n")
        headers: list[Header] = scope["headers"]
        names = {name for name, _ in headers}
        if len(lines) != len(headers) + 1 or len(names) != len(headers) or not _VARYING.keys() <= names:
            return None
        for line, (name, value) in zip(lines[1:], headers, strict=True):
            before, _, behind = line.partition(b":")
            if before.lower() != name or behind.lstrip(b" \t") != value:
                return None
        return cls(lines, scope.copy())

    def repeated(self, data: bytes) -> tuple[dict[str, Any], bytes] | None:
        """Return scope and body of a request that repeats the head; None where the parser has to read it."""
        end = data.find(_END)
        lines = data[:end].split(b"\r\n")
        known = self._lines
        if end < 0 or len(lines) != len(known):
            return None
        headers = self._headers.copy()
        body = data[end + len(_END) :]
        for place, name, prefix, is_one in self._varying:
            line = lines[place + 1]
            value = line[len(prefix) :]
            if not line.startswith(prefix) or is_one(value) is None:
                return None
            if name == _LENGTH and int(value) != len(body):
                return None
            headers[place] = (name, value)
            lines[place + 1] = known[place + 1]
        if lines != known:
            return None
        scope = self._scope.copy()
        scope["headers"] = headers
        return scope, body
