"""Names of keys under the configuration in force, and the bucket that each is in.

On a cluster a scan is in one slot: all its keys are in the member's bucket. On a single server the idempotency records
of a terminal are in the terminal's bucket instead, so that a key reused with another member's code is found too
(docs/adr/0003).

Every scan asks for these names. What depends on the terminal alone is made once and remembered: written for speed,
measured by `python -m tests.measure_path`.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from redemption.configuration.current import Configuration, Terminal
from redemption.domain import members
from redemption.domain.clock import Clock
from redemption.domain.contexts import till_text
from redemption.domain.limits import SLOT_SECONDS
from redemption.hot import keys

_QUARTER_SECONDS = 900
_TILLS_KEPT = 8_192


class MemberAddress(msgspec.Struct, frozen=True):
    """A member's number, public id and bucket."""

    number: int
    member_id: str
    bucket: int


class TillKeys(msgspec.Struct, frozen=True):
    """The keys of a scan that depend on the terminal alone (and on a cluster on the member's bucket)."""

    idempotency_prefix: str
    guess_terminal: str
    guess_outlet: str
    tombstones_terminal: str
    tombstones_outlet: str
    cancelled: str
    earned_terminal: str


@lru_cache(maxsize=_TILLS_KEPT)
def _till_keys(terminal_id: str, outlet_id: str, key_bucket: int, outlet_bucket: int) -> TillKeys:
    """Return a terminal's keys; made once and remembered, for speed (`python -m tests.measure_path`)."""
    return TillKeys(
        idempotency_prefix=keys.idempotency(key_bucket, terminal_id, ""),
        guess_terminal=keys.guess(key_bucket, terminal_id),
        guess_outlet=keys.guess(outlet_bucket, outlet_id),
        tombstones_terminal=keys.tombstones(key_bucket, terminal_id),
        tombstones_outlet=keys.tombstones(outlet_bucket, outlet_id),
        cancelled=keys.cancelled(key_bucket, terminal_id),
        earned_terminal=keys.earned(key_bucket, terminal_id),
    )


class KeyPlace(msgspec.Struct, frozen=True):
    """A bucket that may have the record of a terminal's key.

    `name` is the record's key. `frozen_names` are the `frozen` keys of the buckets whose rebuild writes such records
    anew, separated by blanks.
    """

    bucket: int
    name: str
    frozen_names: str


@lru_cache(maxsize=4)
def _frozen_names(buckets: int) -> str:
    return " ".join(keys.frozen(bucket) for bucket in range(buckets))


class TillTerms(msgspec.Struct, frozen=True):
    """Terms that are the same for all scans of a terminal under one configuration, for a quarter of an hour.

    `words` is the argument `till` of functions/redeem.lua, `place` the head of the scan's context, `outlet_offset` the
    outlet's offset from UTC in seconds.
    """

    words: str
    place: bytes
    outlet_offset: int


class Addresses:
    """Names of keys under the configuration in force."""

    def __init__(self, configuration: Callable[[], Configuration], clock: Clock, *, cluster: bool) -> None:
        self._configuration = configuration
        self._clock = clock
        self._cluster = cluster
        self._offsets: dict[str, tuple[int, int]] = {}
        self._moments: dict[str, tuple[int, datetime]] = {}
        self._terms: dict[tuple[str, str], TillTerms] = {}
        self._terms_of: tuple[Configuration | None, int] = (None, -1)

    @property
    def configuration(self) -> Configuration:
        """Return the configuration in force."""
        return self._configuration()

    @property
    def now(self) -> float:
        """Return the time now, Unix seconds."""
        return self._clock()

    def member(self, number: int) -> MemberAddress:
        """Return the address of a member."""
        return MemberAddress(
            number, members.member_id(number), members.bucket_of(number, self._configuration().buckets)
        )

    def key_bucket(self, terminal: Terminal, bucket: int) -> int:
        """Return the bucket of a terminal's idempotency records and rates, for a call about a member in `bucket`."""
        return bucket if self._cluster else keys.bucket_of_terminal(terminal.terminal_id, self._configuration().buckets)

    def outlet_bucket(self, terminal: Terminal, bucket: int) -> int:
        """Return the bucket of an outlet's counters: one for all its terminals, whose own buckets differ."""
        return bucket if self._cluster else keys.bucket_of_terminal(terminal.outlet_id, self._configuration().buckets)

    def till_keys(self, terminal: Terminal, bucket: int) -> TillKeys:
        """Return the terminal's keys for a scan of a member in `bucket`."""
        return _till_keys(
            terminal.terminal_id,
            terminal.outlet_id,
            self.key_bucket(terminal, bucket),
            self.outlet_bucket(terminal, bucket),
        )

    def till_terms(self, terminal: Terminal) -> TillTerms:
        """Return the terms of a terminal's scans.

        Made once for a terminal, a configuration and a quarter of an hour, for speed (`python -m tests.measure_path`).
        """
        configuration = self._configuration()
        quarter = int(self._clock()) // _QUARTER_SECONDS
        made_of, made_in = self._terms_of
        if made_of is not configuration or made_in != quarter or len(self._terms) > _TILLS_KEPT:
            self._terms, self._terms_of = {}, (configuration, quarter)
        # With its outlet: a request from before the terminal moved may still be under way in the new configuration.
        name = (terminal.terminal_id, terminal.outlet_id)
        known = self._terms.get(name)
        if known is None:
            business, policy, offset = terminal.business, configuration.policy, self.utc_offset(terminal.time_zone)
            known = TillTerms(
                f"{business.business_id},{business.currency},{policy.terminal_rate},{policy.outlet_rate},"
                f"{policy.member_rate},{self.utc_offset(configuration.time_zone)},{offset},"
                f"{terminal.terminal_id},{terminal.outlet_id},"
                f"{'-' if self._cluster else keys.group_guesses(0)}",
                till_text(business.business_id, terminal.outlet_id, terminal.terminal_id, configuration.version),
                offset,
            )
            self._terms[name] = known
        return known

    def idempotency_record(self, terminal: Terminal, bucket: int, key: str) -> str:
        """Return the key of the record of a terminal's Idempotency-Key, for a call about a member in `bucket`."""
        return keys.idempotency(self.key_bucket(terminal, bucket), terminal.terminal_id, key)

    def key_places(self, terminal: Terminal, key: str) -> tuple[KeyPlace, ...]:
        """Return where a key's record may be when the member is not known: the terminal's bucket, on a cluster any."""
        buckets, terminal_id = self._configuration().buckets, terminal.terminal_id
        if self._cluster:
            return tuple(
                KeyPlace(bucket, keys.idempotency(bucket, terminal_id, key), keys.frozen(bucket))
                for bucket in range(buckets)
            )
        bucket = keys.bucket_of_terminal(terminal_id, buckets)
        return (KeyPlace(bucket, keys.idempotency(bucket, terminal_id, key), _frozen_names(buckets)),)

    def utc_offset(self, zone: ZoneInfo) -> int:
        """Return the zone's offset from UTC now, in seconds.

        Computed once for a quarter of an hour, because zones change only at its beginning.
        """
        now = self._clock()
        quarter = int(now) // _QUARTER_SECONDS
        known = self._offsets.get(zone.key)
        if known is None or known[0] != quarter:
            offset = datetime.fromtimestamp(now, zone).utcoffset()
            known = (quarter, int(offset.total_seconds()) if offset else 0)
            self._offsets[zone.key] = known
        return known[1]

    def slot_now(self) -> int:
        """Return the slot of a code made now."""
        return int(self._clock()) // SLOT_SECONDS

    def local_time(self, zone: ZoneInfo) -> datetime:
        """Return the time now in the zone, to the second. Converted once a second, because no rule uses less."""
        second = int(self._clock())
        known = self._moments.get(zone.key)
        if known is None or known[0] != second:
            known = (second, datetime.fromtimestamp(second, zone))
            self._moments[zone.key] = known
        return known[1]
