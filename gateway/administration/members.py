"""Block members and revoke their codes, in both stores."""

from dataclasses import dataclass

from gateway.settings import Settings
from redemption.addresses import Addresses
from redemption.configuration.current import read_configuration
from redemption.database import open_pool
from redemption.devices.store import DeviceStore
from redemption.domain.clock import system_clock
from redemption.domain.members import member_number
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.members_status import UnknownMember, keep_member_status
from redemption.memberships import Memberships


@dataclass(frozen=True, slots=True)
class MemberTold:
    """A member's status after a change, and a sentence about it."""

    status: str
    text: str


async def set_member_status(
    settings: Settings, member_id: str, *, blocked: bool | None, revoke_codes: bool
) -> MemberTold:
    """Block or unblock (None: unchanged) a member in both stores, and revoke codes. Raises `UnknownMember`."""
    pool = await open_pool(settings.ledger(), size=2, name="tong-operations")
    hot = HotConnection(Address.from_url(settings.hot_store()), in_flight_max=4, name="tong-members")
    try:
        await hot.start()
        async with pool.acquire() as connection:
            configuration = await read_configuration(connection)
            addresses = Addresses(lambda: configuration, system_clock, cluster=settings.valkey_cluster)
            memberships = Memberships(HotStore(hot, assemble()), addresses)
            valid_from = memberships.end_of_issued_codes() if revoke_codes else None
            status = await keep_member_status(connection, member_id, blocked=blocked, codes_valid_from=valid_from)
        number = member_number(member_id)
        assert number is not None
        if revoke_codes:
            await DeviceStore(pool).revoke_all(number)
        known = await memberships.set_status(number, blocked=status == "blocked", codes_valid_from=valid_from)
    finally:
        await hot.close(1.0)
        await pool.close()
    if not known:
        raise UnknownMember(f"{member_id} is not in the hot store")
    revoked = ", every code made until now and every device is revoked" if revoke_codes else ""
    return MemberTold(status, f"{member_id} is {status}{revoked}")
