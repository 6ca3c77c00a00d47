"""The manifest of an archived part: one month's rows, as segments of each bucket's chain.

A segment is a stretch of a chain whose rows are all in the part: first and last place, how many rows, and the mac
before and after. With it the chain is verified across the gap: what follows leads on from the mac after. The manifest
is signed with the key of the chain, so a segment cannot be made up by who has no key; it also has the hash of each file
and of the opening balances that stay in PostgreSQL.

Guarantees: the same rows give the same manifest, byte for byte.
"""

import datetime
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from redemption.database import Connection
from redemption.domain.errors import StorageError
from redemption.ledger.chain import Place, SealKey
from redemption.queries import named_queries

FORMAT: Final = "tong ledger archive 2"
FORMATS: Final = ("tong ledger archive 1", FORMAT)
"""Files of the first format have no columns `moves` and `details`: they were written before migration 0014."""
MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
SEGMENTS_MAX: Final = 20_000  # one bucket in one month normally has one


class ArchiveDamaged(StorageError):
    """A part, its file or its manifest was changed; the text says which and how."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adjacent rows of one epoch in a bucket's chain. Places are (milliseconds, sequence)."""

    epoch: int
    first: tuple[int, int]
    last: tuple[int, int]
    rows: int
    rows_before: int
    before: str
    after: str

    @property
    def begins(self) -> Place:
        return Place(self.epoch, *self.first)

    @property
    def ends(self) -> Place:
        return Place(self.epoch, *self.last)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file beside the manifest: rows as `COPY … TO` writes them, compressed with gzip."""

    name: str
    rows: int
    bytes: int
    sha256: str


class BucketPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the part for one bucket."""

    bucket: int
    transactions: File
    postings: File
    segments: tuple[Segment, ...]
    balances: int
    members: int
    opening_sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part."""

    format: str
    part: int
    month: str  # yyyy-mm
    key_id: str
    transactions: int
    postings: int
    buckets: tuple[BucketPart, ...]

    @property
    def name(self) -> str:
        """Return the name of the folder: `2026-01.7`."""
        return f"{self.month}.{self.part}"

    @property
    def first_day(self) -> datetime.date:
        return datetime.date.fromisoformat(f"{self.month}-01")

    def of_bucket(self, bucket: int) -> BucketPart | None:
        return next((each for each in self.buckets if each.bucket == bucket), None)


def encoded(manifest: Manifest) -> bytes:
    """Return the bytes that are signed and written to the file."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decoded(text: bytes) -> Manifest:
    """Decode a manifest. Raises `ArchiveDamaged`."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as fault:
        raise ArchiveDamaged(f"no manifest of an archive: {fault}") from None
    if manifest.format not in FORMATS:
        raise ArchiveDamaged(f"format {manifest.format!r} is none of {', '.join(FORMATS)}")
    return manifest


def signature(key: SealKey, text: bytes) -> bytes:
    return hmac.digest(key.secret, b"tong ledger archive manifest\0" + text, "sha256")


@dataclass(frozen=True, slots=True)
class Part:
    """An archived part as PostgreSQL has it."""

    manifest: Manifest
    text: bytes
    mac: bytes

    def signed_with(self, key: SealKey) -> bool:
        return self.manifest.key_id == key.key_id and hmac.compare_digest(signature(key, self.text), self.mac)


@dataclass(frozen=True, slots=True)
class Gap:
    """A segment of a bucket's chain, and the part that has its rows."""

    part: Part
    segment: Segment


async def read_parts(connection: Connection) -> list[Part]:
    """Return every archived part, in the order they were archived. Raises `ArchiveDamaged`."""
    rows = await connection.fetch(named_queries("ledger", "archive")["parts"])
    return [Part(decoded(row["manifest"].encode()), row["manifest"].encode(), row["mac"]) for row in rows]


def gaps_of(parts: Iterable[Part], bucket: int) -> list[Gap]:
    """Return the segments of a bucket's chain whose rows are archived, in order."""
    found = [
        Gap(part, segment)
        for part in parts
        for each in part.manifest.buckets
        if each.bucket == bucket
        for segment in each.segments
    ]
    return sorted(found, key=lambda gap: gap.segment.begins)


async def opening_hash(connection: Connection, part: int, bucket: int) -> str:
    """Return SHA-256 over the opening balances and states of members that a part left in PostgreSQL."""
    queries = named_queries("ledger", "archive")
    digest = hashlib.sha256()
    for name in ("opening_balances", "opening_members"):
        async for row in connection.cursor(queries[name], part, bucket, prefetch=2_000):
            digest_row(digest, row["content"])
    return digest.hexdigest()


def digest_row(digest: Any, content: str) -> None:
    text = content.encode()
    digest.update(len(text).to_bytes(4) + text)


def archived_rows(gaps: Sequence[Gap]) -> dict[int, int]:
    """Return how many rows of each epoch are archived."""
    rows: dict[int, int] = {}
    for gap in gaps:
        rows[gap.segment.epoch] = rows.get(gap.segment.epoch, 0) + gap.segment.rows
    return rows
