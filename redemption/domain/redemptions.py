"""Redemptions and accruals as the hot store keeps them and as the till receives them.

A record holds everything its first answer needs and never changes that, so a repeat, much later and after capture or
refund, is rendered from the same fields and is the same bytes. Later changes are kept beside it.
"""

import os
from base64 import b32encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, cast, get_args

import msgspec
import orjson
from msgspec.structs import replace

from redemption.domain.contexts import bill_document, leg_document
from redemption.domain.limits import BUCKETS_MAX
from redemption.domain.members import ALPHABET, base32
from redemption.domain.records import record_fields

REDEMPTION_PREFIX: Final = "rdm_"
ACCRUAL_PREFIX: Final = "acr_"
Status = Literal["held", "captured", "partially_refunded", "refunded", "voided", "expired", "reversed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
POINTS: Final = "points"
BENEFIT_PREFIX: Final = "benefit:"
UNIT: Final = {"points": "points", "benefit": "uses", "stored_value": "amount_minor"}
"""The unit of a leg, by its kind."""
_BUCKET_CHARACTERS: Final = 2
_RANDOM_CHARACTERS: Final = 16

_TO_CROCKFORD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())

assert 32**_BUCKET_CHARACTERS >= BUCKETS_MAX


_random: Final[list[str]] = []


def new_id(prefix: str, bucket: int) -> str:
    """Return a fresh id: the prefix, two characters of bucket, 80 random bits.

    Randomness is drawn for 64 ids at once: written for speed, measured by `python -m tests.measure_path`. A forked
    process would go on with the same ids, so workers are started as new processes.
    """
    if not _random:
        drawn = b32encode(os.urandom(64 * 10)).translate(_TO_CROCKFORD).decode()
        _random.extend(drawn[start : start + _RANDOM_CHARACTERS] for start in range(0, len(drawn), _RANDOM_CHARACTERS))
    return prefix + _bucket_text(bucket) + _random.pop()


@lru_cache(maxsize=BUCKETS_MAX)
def _bucket_text(bucket: int) -> str:
    return base32(bucket, _BUCKET_CHARACTERS)


def bucket_of_id(prefix: str, identifier: str, buckets: int) -> int | None:
    """Return the bucket an id names; None where it is not an id of that kind in an installation with `buckets`
    buckets."""
    if len(identifier) != len(prefix) + _BUCKET_CHARACTERS + _RANDOM_CHARACTERS or not identifier.startswith(prefix):
        return None
    characters = identifier[len(prefix) :]
    if any(character not in ALPHABET for character in characters):
        return None
    bucket = ALPHABET.index(characters[0]) * 32 + ALPHABET.index(characters[1])
    return bucket if bucket < buckets else None


class Part(msgspec.Struct, frozen=True):
    """The part of a redemption that came from one lot, and its later fate. `lot` is `<yyyymm or ->.<business>`."""

    leg: int
    asset: str
    lot: str
    taken: int
    captured: int
    refunded: int

    @property
    def issuer(self) -> str:
        return self.lot.partition(".")[2]

    @property
    def expires_month(self) -> int | None:
        """Return the month of expiry as yyyymm; None for a lot that never expires."""
        month = self.lot.partition(".")[0]
        return None if month == "-" else int(month)


class Balance(msgspec.Struct, frozen=True):
    """A member's balance: points to spend, points in holds, stored value in the currency of the business."""

    points: int
    points_held: int
    stored_value_minor: int


class Redemption(msgspec.Struct, frozen=True):
    """One redemption at some moment after its scan.

    `legs` are as requested, each with the value that it took off the bill; `bill` is the one of the scan, or the one it
    was captured with.
    """

    redemption_id: str
    status: Status
    at_ms: int
    hold_until_ms: int | None
    member_id: str
    tier: str
    display_name: str
    business_id: str
    parts: tuple[Part, ...]
    balance: Balance
    legs: list[dict[str, Any]]
    bill: dict[str, Any] | None = None
    replayed: bool = False


class Scanned(msgspec.Struct, frozen=True):
    """The result of a scan, of this call or of the first call with its key.

    The record's lines are the answer (gateway/hot_path/scan_answer.py); later steps are appended behind them and are no
    part of it.
    """

    redemption_id: str
    record: bytes
    replayed: bool


def redemption_from_record(redemption_id: str, text: bytes) -> Redemption:
    """Read a record in its present state. Raises ValueError on one this version cannot read."""
    record = record_fields(text)
    try:
        bill, legs = orjson.loads(f"[{record['basket']}]")
        hold_until = int(record["hold_until"]) if "hold_until" in record else None
        return Redemption(
            redemption_id=redemption_id,
            status=cast(Status, record["status"]),
            at_ms=int(record["at"]),
            hold_until_ms=hold_until,
            member_id=record["member"],
            tier=record["tier"],
            display_name=record.get("name", ""),
            business_id=record["business"],
            parts=_parts(record, hold_until is not None),
            balance=_balance(record["balance"]),
            legs=[leg_document(leg) for leg in legs],
            bill=orjson.loads(record["bill"]) if "bill" in record else bill_document(bill),
        )
    except KeyError as missing:
        raise ValueError(f"a redemption record has no field {missing}") from None


def redemption_told(told: bytes) -> Redemption:
    """Read a record with its id in front, as functions answer with it."""
    redemption_id, _, text = told.partition(b"\n")
    return redemption_from_record(redemption_id.decode(), text)


def after_step(redemption: Redemption, state: bytes, *, replayed: bool) -> Redemption:
    """Return the redemption after a step: `<status> <captured> <refunded> <balance> <at>`."""
    status, captured, refunded, balance, _ = state.decode().split(" ")
    return replace(
        redemption,
        status=status,
        parts=_progressed(redemption.parts, captured, refunded),
        balance=_balance(balance),
        replayed=replayed,
    )


def _balance(text: str) -> Balance:
    points, held, stored_value = text.split(",")
    return Balance(int(points), int(held), int(stored_value))


def _parts(record: dict[str, str], was_hold: bool) -> tuple[Part, ...]:
    """Read `<leg>,<asset>,<lot>,<amount>;…` in the order the lots were spent."""
    taken = record.get("taken")
    if taken is None:
        return ()
    parts = []
    for words in taken.split(";"):
        leg, asset, lot, amount = words.split(",")
        captured = 0 if was_hold else int(amount)
        parts.append(Part(int(leg), asset, lot, int(amount), captured, 0))
    return _progressed(tuple(parts), record.get("captured"), record.get("refunded"))


def _progressed(parts: tuple[Part, ...], captured: str | None, refunded: str | None) -> tuple[Part, ...]:
    if captured is None and refunded is None:
        return parts
    captured_amounts = captured.split(";") if captured else [str(part.captured) for part in parts]
    refunded_amounts = refunded.split(";") if refunded else ["0"] * len(parts)
    return tuple(
        replace(part, captured=int(captured_amounts[index]), refunded=int(refunded_amounts[index]))
        for index, part in enumerate(parts)
    )


@dataclass(frozen=True, slots=True)
class Accrual:
    """Points that a purchase earned. `settled` of them paid the debt of a reversed accrual."""

    accrual_id: str
    status: str
    at_ms: int
    member_id: str
    tier: str
    display_name: str
    business_id: str
    points: int
    settled: int
    lot: str
    growth: int
    growth_after: int
    crossing: bool
    balance_points: int
    context: dict[str, Any]
    replayed: bool = False


def accrual_from_record(flat: list[bytes], *, replayed: bool = False) -> Accrual:
    """Read `field, value, …` as the hot store returns it, always as accrued; later changes are kept elsewhere."""
    record = {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}
    return Accrual(
        accrual_id=record[b"id"].decode(),
        status="accrued",
        at_ms=int(record[b"at"]),
        member_id=record[b"member"].decode(),
        tier=record[b"tier"].decode(),
        display_name=record[b"name"].decode(),
        business_id=record[b"business"].decode(),
        points=int(record[b"points"]),
        settled=int(record[b"settled"]),
        lot=record[b"lot"].decode(),
        growth=int(record[b"growth"]),
        growth_after=int(record[b"growth_after"]),
        crossing=record[b"crossing"] == b"1",
        balance_points=int(record[b"balance"]),
        context=orjson.loads(record[b"context"]),
        replayed=replayed,
    )
