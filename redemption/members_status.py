"""A member's stored status: active or blocked, and since when codes are valid.

Scans see the hot store's copy (memberships.set_status); a rebuild of a lost hot store takes it from here.
"""

from redemption.database import Connection
from redemption.domain.errors import RefusedError


class UnknownMember(RefusedError):
    """There is no such member; the text names the id."""


async def keep_member_status(
    connection: Connection, member_id: str, *, blocked: bool | None, codes_valid_from: int | None
) -> str:
    """Write the status and the second from which codes are valid (None: unchanged), and return the status in force.

    Raises `UnknownMember`.
    """
    status: str | None = await connection.fetchval(
        "UPDATE member SET status = coalesce($2, status), codes_valid_from = greatest(codes_valid_from, $3)"
        " WHERE member_id = $1 RETURNING status",
        member_id,
        None if blocked is None else ("blocked" if blocked else "active"),
        codes_valid_from,
    )
    if status is None:
        raise UnknownMember(f"there is no member {member_id}")
    return status
