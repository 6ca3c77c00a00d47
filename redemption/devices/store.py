"""The devices with which a member makes codes without network: enrolled, listed, revoked.

Guarantees: a member sees and revokes only devices of its own; never more than `DEVICES_PER_MEMBER_MAX` are in force;
a revocation is never taken back. Keys of devices are not kept: the gateway derives them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from redemption.database import FAULTS, Pool
from redemption.domain.errors import StorageError
from redemption.domain.limits import DEVICES_LISTED_MAX, DEVICES_PER_MEMBER_MAX
from redemption.domain.members import base32, from_base32
from redemption.queries import named_queries

DEVICE_PREFIX = "dvc_"
CALL_SECONDS = 2.0
_ID_CHARACTERS = 7


class DevicesAway(StorageError):
    """PostgreSQL did not answer. An enrolment without an answer may have been made: the list shows it."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device. `kid` is the ring key that its key was derived from."""

    device_number: int
    kid: str
    name: str
    created_at: datetime
    revoked_at: datetime | None

    @property
    def device_id(self) -> str:
        return device_id(self.device_number)


def device_id(device_number: int) -> str:
    """Return the public id of a device: `dvc_000000a` is number 10."""
    return DEVICE_PREFIX + base32(device_number, _ID_CHARACTERS)


def device_number(identifier: str) -> int | None:
    """Return the number behind a device's id; None where the text is not such an id."""
    if len(identifier) != len(DEVICE_PREFIX) + _ID_CHARACTERS or not identifier.startswith(DEVICE_PREFIX):
        return None
    return from_base32(identifier[len(DEVICE_PREFIX) :])


class DeviceStore:
    """Devices in PostgreSQL. Every call raises `DevicesAway` when it does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = named_queries("devices", "devices")

    async def enrol(
        self, member_number: int, name: str, kid: str, *, replaces: int | None = None
    ) -> Device | Literal["not_found", "devices_exhausted"]:
        """Enrol a device, revoking the one that it `replaces` in the same transaction.

        Returns `not_found` where the member has no device to replace, `devices_exhausted` where it has as many in force
        as it may have. Raises `DevicesAway`.
        """
        try:
            async with self._pool.acquire(timeout=CALL_SECONDS) as connection, connection.transaction():
                await connection.execute(self._queries["lock_member"], member_number, timeout=CALL_SECONDS)
                if replaces is not None and await self._revoke(connection, member_number, replaces) is None:
                    return "not_found"
                active = await connection.fetchval(self._queries["count_active"], member_number, timeout=CALL_SECONDS)
                if active >= DEVICES_PER_MEMBER_MAX:
                    return "devices_exhausted"
                row = await connection.fetchrow(self._queries["add"], member_number, kid, name, timeout=CALL_SECONDS)
                assert row is not None
                return Device(*row)
        except FAULTS as fault:
            raise DevicesAway(type(fault).__name__) from fault

    async def of_member(self, member_number: int) -> list[Device]:
        """Return the member's devices, newest first, revoked ones too."""
        try:
            rows = await self._pool.fetch(
                self._queries["of_member"], member_number, DEVICES_LISTED_MAX, timeout=CALL_SECONDS
            )
        except FAULTS as fault:
            raise DevicesAway(type(fault).__name__) from fault
        return [Device(*row) for row in rows]

    async def revoke(self, member_number: int, number: int) -> Device | None:
        """Revoke a device and return it, also when it was revoked before; None where the member has no such device."""
        try:
            async with self._pool.acquire(timeout=CALL_SECONDS) as connection:
                return await self._revoke(connection, member_number, number)
        except FAULTS as fault:
            raise DevicesAway(type(fault).__name__) from fault

    async def revoke_all(self, member_number: int) -> None:
        """Revoke every device of the member, because its codes were revoked."""
        try:
            await self._pool.execute(self._queries["revoke_all"], member_number, timeout=CALL_SECONDS)
        except FAULTS as fault:
            raise DevicesAway(type(fault).__name__) from fault

    async def _revoke(
        self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", member_number: int, number: int
    ) -> Device | None:
        row = await connection.fetchrow(self._queries["revoke"], member_number, number, timeout=CALL_SECONDS)
        return None if row is None else Device(*row)
