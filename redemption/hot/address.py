"""The address of a hot-store server, read from its URL.

Guarantees: nothing is guessed, an address that cannot be read is a ValueError; no error and no repr ever carries
the password or the URL it came in.

    redis://[user:password@]host[:port][/database]     valkey:// means the same
    rediss://…  valkeys://…                            with TLS; certificate and host name are checked, against
                                                       the authority in ?ssl_ca_certs=<file> where given
    unix://[user:password@]/path/of/socket[?db=<n>]
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

PORT_DEFAULT = 6379
SCHEMES_PLAIN = frozenset({"redis", "valkey"})
SCHEMES_TLS = frozenset({"rediss", "valkeys"})


@dataclass(frozen=True, slots=True)
class Address:
    """The address of one server. Where `socket_path` is given it is a Unix socket, and host and port mean nothing."""

    host: str = "127.0.0.1"
    port: int = PORT_DEFAULT
    socket_path: str | None = None
    tls: bool = False
    ca_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read a URL of the forms above. Raises ValueError, which names the fault and does not repeat the URL."""
        # An exception of urlsplit repeats pieces of the URL: with an unescaped "/" in a password, the password.
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("the hot store's URL cannot be read (are its characters escaped?)") from None
        if parts.fragment:
            raise ValueError("the hot store's URL has a '#' in it: escape it as %23")
        scheme = parts.scheme.lower()
        if scheme not in SCHEMES_PLAIN | SCHEMES_TLS | {"unix"}:
            raise ValueError("the hot store's URL must begin with redis, rediss, valkey, valkeys or unix and ://")
        options = _options(parts, {"ssl_ca_certs", "db"} if scheme in SCHEMES_TLS else {"db"})
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if username is not None and password is None:
            raise ValueError("the hot store's URL has a user but no password")
        if scheme == "unix":
            if parts.hostname or len(parts.path) < 2:
                raise ValueError("a unix:// URL needs the absolute path of the socket, as in unix:///run/valkey.sock")
            return cls(
                socket_path=unquote(parts.path),
                username=username,
                password=password,
                database=_database(options.get("db", "")),
            )
        if not parts.hostname:
            raise ValueError("the hot store's URL has no host")
        in_path = parts.path.removeprefix("/")
        if in_path and "db" in options:
            raise ValueError("the hot store's URL names the database twice")
        return cls(
            host=parts.hostname,
            port=PORT_DEFAULT if port is None else port,
            tls=scheme in SCHEMES_TLS,
            ca_file=options.get("ssl_ca_certs"),
            username=username,
            password=password,
            database=_database(in_path or options.get("db", "")),
        )

    def __str__(self) -> str:
        """Return the address for messages, never with a password."""
        return f"unix:{self.socket_path}" if self.socket_path else f"{self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context of the connection; None where it is not encrypted. Reads the authority's file."""
        if not self.tls:
            return None
        if self.ca_file is not None and not Path(self.ca_file).is_file():
            raise FileNotFoundError(f"no file at ssl_ca_certs: {self.ca_file}")
        return ssl.create_default_context(cafile=self.ca_file)


def _options(parts: SplitResult, known: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= known:
        raise ValueError(f"the hot store's URL has an unknown option; known: {', '.join(sorted(known))}")
    return options


def _database(text: str) -> int:
    if not text:
        return 0
    # isdecimal alone would let other scripts' digits through.
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise ValueError("the database in the hot store's URL is not a number")
    return int(text)
