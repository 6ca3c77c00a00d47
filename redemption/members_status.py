"""A member's status at rest: active or blocked. The hot store's copy is what scans see (memberships.set_status)."""

from redemption.database import Connection


class UnknownMember(Exception):
    """There is no such member; the text names the id."""


async def keep_member_status(connection: Connection, member_id: str, *, blocked: bool | None) -> str:
    """Writes the status (None: leaves it) and returns the one in force. Raises `UnknownMember`."""
    status: str | None = await connection.fetchval(
        "UPDATE member SET status = coalesce($2, status) WHERE member_id = $1 RETURNING status",
        member_id,
        None if blocked is None else ("blocked" if blocked else "active"),
    )
    if status is None:
        raise UnknownMember(f"there is no member {member_id}")
    return status
