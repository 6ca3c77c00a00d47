"""The files of an archived part: rows of one bucket as `COPY … TO` writes them, compressed with gzip.

    <folder>/2026-01.7/manifest.json                        redemption/ledger/manifest.py
    <folder>/2026-01.7/manifest.hmac                        its signature, hexadecimal
    <folder>/2026-01.7/bucket-17.transactions.copy.gz       sql/archive.sql says the columns
    <folder>/2026-01.7/bucket-17.postings.copy.gz

Guarantees: the same rows give the same bytes; a file is flushed to disk before it is counted as written; read back, the
rows come as the very bytes that the chain was computed over. Memory: one row with its postings.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from redemption.database import Connection
from redemption.ledger.chain import QUERY_SECONDS, Link, Place
from redemption.ledger.manifest import MANIFEST_BYTES_MAX, ArchiveDamaged, BucketPart, File, Manifest, decoded
from redemption.queries import named_queries

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.hmac"
PLACE: Final = slice(2, 5)  # epoch, milliseconds, sequence within the columns of both files
BEFORE_MOVES: Final = 16
"""Columns of a transaction up to `context`; the files of archive format 1 have no others."""
CHUNK: Final = 1024 * 1024
COMPRESSION: Final = 6
LINE_BYTES_MAX: Final = 1024 * 1024

_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_TO_QUOTE: Final = re.compile(rb'[()",\\\s]')


def file_name(bucket: int, kind: str) -> str:
    return f"bucket-{bucket}.{kind}.copy.gz"


async def write_rows(connection: Connection, folder: Path, kind: str, table: str, bucket: int) -> File:
    """Write one bucket's rows of a partition; `kind` is transactions or postings, `table` an identifier of ours."""
    path = folder / file_name(bucket, kind)
    rows = 0
    with path.open("xb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=COMPRESSION, mtime=0) as packed:

            async def take(data: bytes) -> None:
                nonlocal rows
                rows += data.count(b"\n")
                packed.write(data)

            query = named_queries("ledger", "archive")[f"copy_{kind}"].format(table=table)
            await connection.copy_from_query(query, bucket, output=take, timeout=QUERY_SECONDS)
        raw.flush()
        os.fsync(raw.fileno())
    return described(path, rows)


def described(path: Path, rows: int) -> File:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return File(path.name, rows, path.stat().st_size, digest.hexdigest())


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file, flushed to disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder, so that files made or renamed in it are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> tuple[Manifest, bytes, bytes]:
    """Return manifest, its bytes, its signature. Raises `ArchiveDamaged`."""
    try:
        if (folder / MANIFEST).stat().st_size > MANIFEST_BYTES_MAX:
            raise ArchiveDamaged(f"{folder / MANIFEST} is too large")
        text = (folder / MANIFEST).read_bytes()
        mac = bytes.fromhex((folder / SIGNATURE).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as fault:
        raise ArchiveDamaged(f"{folder}: {fault}") from None
    return decoded(text), text, mac


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that every file exists and has the bytes that were written. Raises `ArchiveDamaged`."""
    for part in manifest.buckets:
        for file in (part.transactions, part.postings):
            try:
                found = described(folder / file.name, file.rows)
            except OSError as fault:
                raise ArchiveDamaged(f"{folder / file.name}: {fault.strerror}") from None
            if found != file:
                raise ArchiveDamaged(f"{folder / file.name} was changed: its SHA-256 is {found.sha256[:16]}…")


async def unpacked(path: Path) -> AsyncIterator[bytes]:
    """Yield the text of a file, for `COPY … FROM`. Raises `ArchiveDamaged`."""
    try:
        with gzip.open(path, "rb") as file:
            while data := file.read(CHUNK):
                yield data
    except (OSError, EOFError, zlib.error) as fault:
        raise ArchiveDamaged(f"{path}: {fault}") from None


def links_of(folder: Path, part: BucketPart) -> Iterator[Link]:
    """Yield the rows of a bucket as the chain takes them in. Raises `ArchiveDamaged`."""
    postings = _lines(folder / part.postings.name)
    waiting = next(postings, None)
    for fields in _lines(folder / part.transactions.name):
        place = _place(fields)
        content = [_composite(_chained(fields))]
        while waiting is not None and _place(waiting) == place:
            content.append(_composite([waiting[0], *waiting[5:]]))
            waiting = next(postings, None)
        yield Link(place, b"".join(len(each).to_bytes(4) + each for each in content))
    if waiting is not None:
        raise ArchiveDamaged(f"{folder / part.postings.name}: postings at {_place(waiting)} without a transaction")


def _chained(fields: list[bytes | None]) -> list[bytes | None]:
    """Return the fields of a transaction that the chain takes in, by its form (sql/seal.sql)."""
    if len(fields) == BEFORE_MOVES or fields[BEFORE_MOVES] is None:
        return [b"transaction", *fields[:BEFORE_MOVES]]
    return [b"transaction 2", *fields[: BEFORE_MOVES - 1], *fields[BEFORE_MOVES:]]


def _lines(path: Path) -> Iterator[list[bytes | None]]:
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                if not line.endswith(b"\n"):
                    raise ArchiveDamaged(f"{path}: a line is cut off")
                yield [_field(field) for field in line[:-1].split(b"\t")]
    except (OSError, EOFError, zlib.error) as fault:
        raise ArchiveDamaged(f"{path}: {fault}") from None


def _place(fields: list[bytes | None]) -> Place:
    try:
        return Place(*(int(field or b"") for field in fields[PLACE]))
    except (ValueError, TypeError) as fault:
        raise ArchiveDamaged(f"a row without a place: {fault}") from None


def _field(text: bytes) -> bytes | None:
    """Return a field of COPY's text format."""
    if b"\\" not in text:
        return text
    if text == b"\\N":
        return None
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def _composite(fields: list[Any]) -> bytes:
    """Return the text of `ROW(…)::text` for these fields."""
    return b"(" + b",".join(_quoted(field) for field in fields) + b")"


def _quoted(field: bytes | None) -> bytes:
    if field is None:
        return b""
    if field and _TO_QUOTE.search(field) is None:
        return field
    return b'"' + field.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"'
