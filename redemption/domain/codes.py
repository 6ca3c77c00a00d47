"""A member's code as the domain sees it once its signature was checked."""

import msgspec

from redemption.domain.outcomes import Outcome, Refusal


class CodeUse(msgspec.Struct, frozen=True):
    """The genuine code of a scan.

    Names the member, the slot (or the step of a device), the field that marks it as used, when it was made, and whether
    it has expired or the device that made it is revoked.
    """

    member_number: int
    slot: int
    marker: str
    made_at: int
    expired: bool
    revoked: bool = False

    @property
    def refusal(self) -> Refusal | None:
        """Return the reason to refuse the code that needs no member state. It precedes any fault of the basket."""
        if self.expired:
            return Refusal(Outcome.CODE_EXPIRED)
        return Refusal(Outcome.CODE_REVOKED) if self.revoked else None
