"""The calls of the engine's state machine as values that model and driver both take."""

from dataclasses import dataclass
from typing import NamedTuple

from redemption.configuration.current import Terminal
from redemption.domain.commands import Bill, Leg


class Code(NamedTuple):
    """A code as read: `marker` is its nonce, or "digits"."""

    member_number: int
    slot: int
    marker: str
    expired: bool

    @property
    def made_at(self) -> int:
        return self.slot * 2


@dataclass(frozen=True)
class Scan:
    terminal: Terminal
    code: Code
    key: str
    bill: Bill | None
    legs: tuple[Leg, ...]
    hold_seconds: int | None
    confirm: bool

    @property
    def fingerprint(self) -> str:
        body = (self.code[:3], self.bill, self.legs, self.hold_seconds, self.confirm)
        return f"verify{hash(repr(body)):x}"


@dataclass(frozen=True)
class Step:
    """Capture, void, refund or the reversal of an accrual: `subject` is its id."""

    name: str
    terminal: Terminal
    subject: str
    key: str | None
    legs: tuple[Leg, ...] | None = None

    @property
    def fingerprint(self) -> str:
        return f"{self.name}{hash(repr((self.subject, self.legs))):x}"


@dataclass(frozen=True)
class Purchase:
    terminal: Terminal
    member_number: int
    code: Code | None
    key: str
    bill: Bill
    confirm: bool = False

    @property
    def fingerprint(self) -> str:
        body = (self.member_number, self.code and self.code[:3], self.bill, self.confirm)
        return f"accrue{hash(repr(body)):x}"
