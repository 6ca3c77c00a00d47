"""The record of one redemption, as the hot store keeps it and as the till is answered.

The record holds everything the answer needs, so a repeat, a look-up and the first answer are rendered from the same
fields and are the same bytes.
"""

import os
from dataclasses import dataclass
from typing import Any, Final

import orjson

from redemption.domain.limits import BUCKETS_MAX
from redemption.domain.members import ALPHABET, base32

REDEMPTION_PREFIX: Final = "rdm_"
_BUCKET_CHARACTERS: Final = 2
_RANDOM_CHARACTERS: Final = 16
_ID_LENGTH: Final = len(REDEMPTION_PREFIX) + _BUCKET_CHARACTERS + _RANDOM_CHARACTERS

assert 32**_BUCKET_CHARACTERS >= BUCKETS_MAX


def new_redemption_id(bucket: int) -> str:
    """A fresh id: `rdm_`, two characters of bucket, 80 random bits."""
    return REDEMPTION_PREFIX + base32(bucket, _BUCKET_CHARACTERS) + base32(int.from_bytes(os.urandom(10)), 16)


def bucket_of_redemption(redemption_id: str, buckets: int) -> int | None:
    """The bucket an id names; None when it is not a redemption id of an installation with `buckets` buckets."""
    if len(redemption_id) != _ID_LENGTH or not redemption_id.startswith(REDEMPTION_PREFIX):
        return None
    characters = redemption_id[len(REDEMPTION_PREFIX) :]
    if any(character not in ALPHABET for character in characters):
        return None
    bucket = ALPHABET.index(characters[0]) * 32 + ALPHABET.index(characters[1])
    return bucket if bucket < buckets else None


@dataclass(frozen=True, slots=True)
class LotPart:
    """Points of one lot: who issued them and the month (yyyymm) they expire in."""

    issuer: str
    expires_month: int
    points: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left after the redemption."""

    points: int
    points_held: int
    stored_value_minor: int


@dataclass(frozen=True, slots=True)
class Redemption:
    """One redemption. `context` is what the gateway wrote beside it: business, outlet, terminal, bill, legs."""

    redemption_id: str
    status: str
    at_ms: int
    member_id: str
    tier: str
    display_name: str
    taken: dict[int, list[LotPart]]
    balance: Balance
    context: dict[str, Any]
    replayed: bool = False


def redemption_from_record(flat: list[bytes], *, replayed: bool = False) -> Redemption:
    """Reads `field, value, …` as the hot store returns it. Raises ValueError on a record this version cannot read."""
    record = {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}
    try:
        points, held, stored_value = record[b"balance"].split(b",")
        return Redemption(
            redemption_id=record[b"id"].decode(),
            status=record[b"status"].decode(),
            at_ms=int(record[b"at"]),
            member_id=record[b"member"].decode(),
            tier=record[b"tier"].decode(),
            display_name=record[b"name"].decode(),
            taken=_taken(record[b"taken"]),
            balance=Balance(int(points), int(held), int(stored_value)),
            context=orjson.loads(record[b"context"]),
            replayed=replayed,
        )
    except KeyError as missing:
        raise ValueError(f"a redemption record has no field {missing}") from None


def lot_part(lot: str, points: int) -> LotPart:
    """Reads a lot's name, `<yyyymm>.<issuer>`."""
    month, issuer = lot.split(".", 1)
    return LotPart(issuer, int(month), points)


def _taken(text: bytes) -> dict[int, list[LotPart]]:
    """`<leg>,<yyyymm>.<issuer>,<points>;…` by leg, in the order the lots were spent."""
    parts: dict[int, list[LotPart]] = {}
    for part in text.decode().split(";") if text else ():
        leg, lot, points = part.split(",")
        parts.setdefault(int(leg), []).append(lot_part(lot, int(points)))
    return parts
