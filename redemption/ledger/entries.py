"""Stream entries of versions 1 and 2, decoded into what the ledger writes.

Guarantees: an entry is taken whole or refused whole. What is refused comes back as a `Malformed` value with a reason
that quotes none of the entry's content, so it may be logged. A move takes an amount from one account to another, so a
transaction sums to zero per asset by construction. Does not guarantee that PostgreSQL can store the context: JSON that
jsonb refuses (a number outside numeric, say) is found by the writer when the database refuses the row.

An entry, as the hot store's functions write it (all values text):

    kind · id · member · at (unix milliseconds) · moves "<asset>,<lot>,<from>,<to>,<amount>;…" · context (JSON)

Version 1 has each in a field of its own, with `v` "1" first; version 2 has one field, `2`, with the same six as lines,
because XADD takes its time by the argument. The ledger keeps the moves as they came, and of the context what no column
has (`details`).
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from redemption.domain.contexts import ContextRefused, split, whole_context
from redemption.domain.errors import RefusedError
from redemption.domain.limits import (
    CONTEXT_BYTES_MAX,
    IDEMPOTENCY_KEY_CHARACTERS_MAX,
    LOT_NAME_CHARACTERS_MAX,
    LOTS_MAX,
    SAFE_INTEGER_MAX,
)
from redemption.domain.members import member_number

PARTS: Final = (b"kind", b"id", b"member", b"at", b"moves", b"context")
ENTRY_FIELDS: Final = frozenset((b"v", *PARTS))
VERSION_2: Final = b"2"
KINDS: Final = frozenset(
    ("issue", "redeem", "hold", "capture", "release", "refund", "accrue", "expire", "reverse", "adjust")
)
ACCOUNTS: Final = {
    "A": "member_available",
    "H": "member_held",
    "I": "business_issued",
    "R": "business_redeemed",
    "X": "expired",
}
MOVES_MAX: Final = 2 * LOTS_MAX + 100  # part of a hold captured, the rest released, for every lot, and other legs
MOVES_BYTES_MAX: Final = MOVES_MAX * 160
CONTEXT_TEXT_CHARACTERS_MAX: Final = 128  # identifiers that get a column of their own

# The months that ledger_ensure_month makes partitions for.
_AT_MIN_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
_AT_END_MS = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1000

_SUBJECT = re.compile(r"[a-z]{3}_[0-9A-Za-z_-]{1,60}")
_MOVE = re.compile(
    r"(points|benefit:[0-9A-Za-z_.:-]{1,64}|[A-Z]{3}),"
    r"((20[2-9][0-9](?:0[1-9]|1[0-2])|-)\.([0-9A-Za-z_-]{1,33})),"
    r"([AHIRX]),([AHIRX]),([1-9][0-9]{0,15})"
)
_AT = re.compile(r"[1-9][0-9]{12}")
# PostgreSQL can hold U+0000 neither in text nor in jsonb. An escaped backslash before "u0000" is no escape of it.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

assert len("209912.") + 33 <= LOT_NAME_CHARACTERS_MAX


class Move(NamedTuple):
    """`amount` of `asset` from one account to another, within one lot."""

    asset: str
    lot: str
    issuer: str
    expires_month: int | None
    source: str  # a letter of ACCOUNTS
    target: str
    amount: int


class Entry(msgspec.Struct, frozen=True):
    """One well-formed entry.

    `moves_text` is `moves` as they came; `details` is the JSON of what the fields after it do not have of the context,
    as redemption/domain/contexts.py describes it.
    """

    kind: str
    subject_id: str
    member_id: str
    at_ms: int
    moves: tuple[Move, ...]
    moves_text: str
    details: str
    business: str | None
    outlet: str | None
    terminal: str | None
    idempotency_key: str | None
    bill_reference: str | None
    bill_amount_minor: int | None
    currency: str | None

    @property
    def context(self) -> dict[str, Any]:
        """Return the whole context, put together anew."""
        amount_minor = self.bill_amount_minor
        bill = None if amount_minor is None else [self.bill_reference, amount_minor, self.currency]
        return whole_context(self.details, self.business, self.outlet, self.terminal, self.idempotency_key, bill)


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry the ledger cannot take. `reason` holds nothing of the entry's content."""

    reason: str


class Position(NamedTuple):
    """The id of a stream entry; ordered as the stream is."""

    ms: int
    seq: int


TRANSACTION_COLUMNS: Final = [
    "occurred_at",
    "bucket",
    "epoch",
    "entry_ms",
    "entry_seq",
    "kind",
    "subject_id",
    "member_id",
    "business",
    "outlet",
    "terminal",
    "idempotency_key",
    "bill_reference",
    "bill_amount_minor",
    "currency",
    "moves",
    "details",
]
DEAD_LETTER_COLUMNS: Final = ["bucket", "epoch", "entry_ms", "entry_seq", "fields", "reason"]


class _EntryMalformed(RefusedError):
    """An entry cannot be decoded; used inside this module only, to leave nested checks with a reason."""


def decode_entry(fields: Mapping[bytes, bytes]) -> Entry | Malformed:
    """Decode an entry, or return why it is malformed. Never raises for content."""
    try:
        return _decode(fields)
    except _EntryMalformed as refused:
        return Malformed(str(refused))
    except UnicodeDecodeError:
        return Malformed("a field is not UTF-8")


def _lines(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """Return the six parts of an entry of either version, in the order of version 2."""
    packed = fields.get(VERSION_2)
    if packed is not None and len(fields) == 1:
        lines = packed.split(b"\n")
        if len(lines) != len(PARTS):
            raise _EntryMalformed("an entry of version 2 has six lines")
        return lines
    if fields.get(b"v") != b"1":
        raise _EntryMalformed("version missing" if b"v" not in fields else "unknown version")
    if fields.keys() != ENTRY_FIELDS:
        missing = sorted(name.decode() for name in ENTRY_FIELDS - fields.keys())
        raise _EntryMalformed(f"field missing: {', '.join(missing)}" if missing else "unknown field")
    return [fields[name] for name in PARTS]


def _decode(fields: Mapping[bytes, bytes]) -> Entry:
    lines = _lines(fields)
    kind, subject_id, member_id, at = (line.decode() for line in lines[:4])
    if kind not in KINDS:
        raise _EntryMalformed("unknown kind")
    if _SUBJECT.fullmatch(subject_id) is None:
        raise _EntryMalformed("id is no subject id")
    if member_number(member_id) is None:
        raise _EntryMalformed("member is no member id")
    if _AT.fullmatch(at) is None or not _AT_MIN_MS <= int(at) < _AT_END_MS:
        raise _EntryMalformed("at is no time in unix milliseconds")
    moves = moves_of(lines[4])
    columns, details = _context(lines[5])
    business = _text(columns, "business")
    if business is None and any("R" in (move.source, move.target) for move in moves):
        raise _EntryMalformed("a redemption without a business in its context")
    bill = columns.get("bill") or {}
    if not isinstance(bill, dict):
        raise _EntryMalformed("bill is no object")
    return Entry(
        kind=kind,
        subject_id=subject_id,
        member_id=member_id,
        at_ms=int(at),
        moves=moves,
        moves_text=lines[4].decode(),
        details=details.decode(),
        business=business,
        outlet=_text(columns, "outlet"),
        terminal=_text(columns, "terminal"),
        idempotency_key=_text(columns, "key", IDEMPOTENCY_KEY_CHARACTERS_MAX),
        bill_reference=_text(bill, "reference"),
        bill_amount_minor=_amount(bill),
        currency=_text(bill, "currency", 3),
    )


def moves_of(text: bytes) -> tuple[Move, ...]:
    """Return the moves of an entry, or of a transaction in the ledger. Raises `RefusedError` where it is no moves."""
    if not text:
        return ()
    if len(text) > MOVES_BYTES_MAX:
        raise _EntryMalformed("moves too long")
    parts = text.decode().split(";")
    if len(parts) > MOVES_MAX:
        raise _EntryMalformed("too many moves")
    moves = []
    for part in parts:
        match = _MOVE.fullmatch(part)
        if match is None:
            raise _EntryMalformed("a move cannot be read")
        asset, lot, month, issuer, source, target, digits = match.groups()
        amount = int(digits)
        if amount > SAFE_INTEGER_MAX:
            raise _EntryMalformed("an amount is too large")
        if source == target:
            raise _EntryMalformed("a move from an account to itself")
        if asset == "points" and month == "-":
            raise _EntryMalformed("points without a month of expiry")
        moves.append(Move(asset, lot, issuer, None if month == "-" else int(month), source, target, amount))
    return tuple(moves)


def _context(text: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the members of the context that become columns, and the JSON of the rest."""
    if len(text) > CONTEXT_BYTES_MAX:
        raise _EntryMalformed("context too long")
    try:
        context = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _EntryMalformed("context is no JSON") from None
    if b"\\u0000" in text and _ESCAPED_NUL.search(text):
        raise _EntryMalformed("context holds U+0000")
    try:
        return split(context, text)
    except ContextRefused:
        raise _EntryMalformed("context is no object") from None


def _text(source: dict[str, Any], name: str, limit: int = CONTEXT_TEXT_CHARACTERS_MAX) -> str | None:
    value = source.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise _EntryMalformed(f"{name} of the context is no text of 1 to {limit} characters")
    return value


def _amount(bill: dict[str, Any]) -> int | None:
    value = bill.get("amount_minor")
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= SAFE_INTEGER_MAX:
        raise _EntryMalformed("amount_minor of the bill is no amount")
    return value


_NULL: Final = (-1).to_bytes(4, signed=True)
_KEY: Final = struct.Struct("!hiqihiiiqiq")  # the count of columns, then each value behind its length
_AMOUNT: Final = struct.Struct("!iq")
_POSTGRES_EPOCH_MS: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1000

COPY_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END: Final = (-1).to_bytes(2, signed=True)


def transaction_row(bucket: int, epoch: int, position: Position, entry: Entry) -> bytes:
    """Return the row of `ledger_transaction` in the binary format of COPY, in the order of TRANSACTION_COLUMNS.

    Binary, because it costs PostgreSQL a fifth less than text, and rendering costs the same.
    """
    occurred_us = (entry.at_ms - _POSTGRES_EPOCH_MS) * 1000
    amount = entry.bill_amount_minor
    return b"".join(
        (
            _KEY.pack(len(TRANSACTION_COLUMNS), 8, occurred_us, 2, bucket, 4, epoch, 8, position.ms, 8, position.seq),
            _copied(entry.kind),
            _copied(entry.subject_id),
            _copied(entry.member_id),
            _copied(entry.business),
            _copied(entry.outlet),
            _copied(entry.terminal),
            _copied(entry.idempotency_key),
            _copied(entry.bill_reference),
            _NULL if amount is None else _AMOUNT.pack(8, amount),
            _copied(entry.currency),
            _copied(entry.moves_text),
            _copied(entry.details),
        )
    )


def _copied(text: str | None) -> bytes:
    if text is None:
        return _NULL
    value = text.encode()
    return len(value).to_bytes(4) + value
