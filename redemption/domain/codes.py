"""A member's code as the domain sees it: what is left of it once its signature held."""

import msgspec

from redemption.domain.outcomes import Outcome, Refusal


class CodeUse(msgspec.Struct, frozen=True):
    """The genuine code of a scan: whose, which slot (or step of a device), the field it uses up, when it was made,
    whether it is over, whether the device that made it is revoked."""

    member_number: int
    slot: int
    marker: str
    made_at: int
    expired: bool
    revoked: bool = False

    @property
    def refusal(self) -> Refusal | None:
        """What is wrong with the code that needs no member state. It comes before whatever is wrong with a basket."""
        if self.expired:
            return Refusal(Outcome.CODE_EXPIRED)
        return Refusal(Outcome.CODE_REVOKED) if self.revoked else None
