"""Sources of the identity provider's public keys: a file or an https address.

Guarantees: at most `JWKS_BYTES_MAX` are read; an address is https with the certificate checked, no redirect is
followed, no proxy of the environment is used; a fetch ends soon after its time-out (at most one read later), but for
the look-up of the host name, which is the system's. Failures are KeySourceAway. The event loop is never blocked.
"""

import asyncio
import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tokens.errors import KeySourceAway

JWKS_BYTES_MAX: Final = 262_144
FETCH_TIMEOUT_SECONDS: Final = 3.0
_READ_BYTES: Final = 16_384


class FileKeySource:
    """A JWKS in a file that somebody else may replace."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self) -> bytes:
        """Return the document. Raises KeySourceAway."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as stream:
                data = stream.read(JWKS_BYTES_MAX + 1)
        except OSError as error:
            raise KeySourceAway(f"the JWKS file {self._path} cannot be read: {error.strerror}") from error
        return _bounded(data)


class HttpsKeySource:
    """A JWKS at an https address."""

    def __init__(
        self,
        url: str,
        timeout_seconds: float = FETCH_TIMEOUT_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Take an address. `ssl_context` is for an identity provider with a private authority. Raises ValueError for
        another scheme."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise ValueError("the address of the JWKS must be https:// with a host and without a user")
        self._url = url
        self._timeout_seconds = timeout_seconds
        # An opener of its own: build_opener would add file:, ftp:, http:, redirects and the environment's proxies.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPSHandler(context=ssl_context or ssl.create_default_context()),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    async def fetch(self) -> bytes:
        """Return the document. Raises KeySourceAway."""
        return await asyncio.to_thread(self._get)

    def _get(self) -> bytes:
        ends_at = time.monotonic() + self._timeout_seconds
        request = urllib.request.Request(self._url, headers={"Accept": "application/json"})  # noqa: S310 (https only)
        data = bytearray()
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                # The socket's time-out bounds one read; the loop bounds a server that sends a byte at a time.
                while len(data) <= JWKS_BYTES_MAX:
                    if time.monotonic() > ends_at:
                        raise KeySourceAway(f"the JWKS took longer than {self._timeout_seconds} s")
                    part = response.read1(_READ_BYTES)
                    if not part:
                        break
                    data += part
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
            raise KeySourceAway(f"the JWKS address answered {status}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise KeySourceAway(f"the JWKS cannot be fetched: {error}") from error
        return _bounded(bytes(data))


def _bounded(data: bytes) -> bytes:
    if len(data) > JWKS_BYTES_MAX:
        raise KeySourceAway(f"the JWKS is larger than {JWKS_BYTES_MAX} bytes")
    return data
