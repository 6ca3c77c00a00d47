"""The keyed hash chain over the ledger: one per bucket, over every row in stream order.

    mac 0      HMAC-SHA-256(key, "tong ledger chain 1 bucket <n>")
    mac n      HMAC-SHA-256(key, mac n-1 | content of row n)
    row        a transaction, or a dead letter, in the order (epoch, stream id)
    content    the text of the row (sql/seal.sql) after its length in four bytes; of a transaction from before migration
               0014 also the text of each posting

Guarantees: the chain says nothing of how it was cut into batches, so any seal, and any head exported earlier, can be
verified by reading the ledger once. Whoever changes, removes or inserts a row without the key changes every mac from
there on. Does not guarantee that rows removed from the end are noticed, unless a head was exported meanwhile.
"""

import hmac
import os
import secrets
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from redemption.database import Connection
from redemption.domain.errors import ConfigurationError
from redemption.queries import named_queries

KEY_BYTES: Final = 32
BATCH_ROWS: Final = 2_000
QUERY_SECONDS: Final = 600.0


class SealKeyRefused(ConfigurationError):
    """The file of the seal key cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """The key of the chain. `key_id` tells keys apart and says nothing of the key."""

    secret: bytes = field(repr=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_id", hmac.digest(self.secret, b"tong seal key id", "sha256").hex()[:16])

    def first(self, bucket: int) -> bytes:
        """Return the mac that a bucket's chain begins with."""
        return hmac.digest(self.secret, b"tong ledger chain 1 bucket %d" % bucket, "sha256")

    def next(self, mac: bytes, content: bytes) -> bytes:
        return hmac.digest(self.secret, mac + content, "sha256")


def read_seal_key(path: Path) -> SealKey:
    """Return the key in the file: 64 hexadecimal characters.

    Raises `SealKeyRefused`, also when others may read the file.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise SealKeyRefused(f"the seal key {path} cannot be read: {fault}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SealKeyRefused(f"the seal key {path} may be read by others: chmod 600")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SealKeyRefused(f"the seal key {path} is not {2 * KEY_BYTES} hexadecimal characters")
    return SealKey(secret)


def make_seal_key(path: Path) -> None:
    """Write a fresh key where none exists; whole or not at all, mode 0600 from its first byte. Raises OSError."""
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process made a key meanwhile, and it may be in use
            os.link(aside, path)
    finally:
        aside.unlink()


class Place(NamedTuple):
    """The place of a row in its bucket; ordered as the chain is."""

    epoch: int
    ms: int
    seq: int

    def __str__(self) -> str:
        return f"epoch {self.epoch} entry {self.ms}-{self.seq}"


BEGINNING: Final = Place(0, 0, 0)


class Head(NamedTuple):
    """The chain of a bucket at one place: number of rows and mac. `number` counts the seals."""

    bucket: int
    number: int
    place: Place
    rows: int
    rows_in_epoch: int
    key_id: str
    mac: bytes


def head_of(bucket: int, row: Any) -> Head:
    return Head(
        bucket,
        row["number"],
        Place(row["epoch"], row["last_ms"], row["last_seq"]),
        row["rows_sealed"],
        row["rows_in_epoch"],
        row["key_id"],
        row["mac"],
    )


class Link(NamedTuple):
    """One row of the ledger as the chain takes it in."""

    place: Place
    content: bytes


def extended(head: Head, key: SealKey, link: Link) -> Head:
    """Return the chain with one row more. The number of the seal stays."""
    return Head(
        head.bucket,
        head.number,
        link.place,
        head.rows + 1,
        head.rows_in_epoch + 1 if link.place.epoch == head.place.epoch else 1,
        key.key_id,
        key.next(head.mac, link.content),
    )


def beginning(bucket: int, key: SealKey) -> Head:
    """Return the chain before its first row."""
    return Head(bucket, 0, BEGINNING, 0, 0, key.key_id, key.first(bucket))


async def links(connection: Connection, bucket: int, after: Place, upto: Place, limit: int = BATCH_ROWS) -> list[Link]:
    """Read at most `limit` rows after one place and up to another, in order.

    Postings without a transaction come with the row before them, at the beginning of a batch with the row after them:
    they break the chain, and count as no row.
    """
    queries = named_queries("ledger", "seal")
    end = await connection.fetchrow(queries["batch_end"], bucket, *after, *upto, limit, timeout=QUERY_SECONDS)
    last = upto if end is None else Place(end["epoch"], end["entry_ms"], end["entry_seq"])
    rows = await connection.fetch(queries["content"], bucket, *after, *last, timeout=QUERY_SECONDS)
    found: list[Link] = []
    parts: list[bytes] = []
    place: Place | None = None
    for epoch, ms, seq, part, text in rows:
        if part == 0:
            if place is not None:
                found.append(Link(place, b"".join(parts)))
                parts = []
            place = Place(epoch, ms, seq)
        content = text.encode()
        parts.append(len(content).to_bytes(4) + content)
    if place is not None:
        found.append(Link(place, b"".join(parts)))
    return found


async def all_links(connection: Connection, bucket: int, after: Place, upto: Place) -> AsyncIterator[list[Link]]:
    """Yield all rows between two places in batches, one in memory at a time."""
    while batch := await links(connection, bucket, after, upto):
        yield batch
        after = batch[-1].place
