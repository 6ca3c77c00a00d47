"""Findings of an audit or a dry run, as values: every difference with both of its sides."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `check` is the invariant or the kind, `subject` what differs; then the two sides as text.

    docs/reference/ledger.md says of each check what a finding means and what to do about it.
    """

    check: str
    subject: str
    one_side: str
    other_side: str
    bucket: int | None = None

    def __str__(self) -> str:
        where = "" if self.bucket is None else f"bucket {self.bucket}: "
        return f"{self.check}: {where}{self.subject}: {self.one_side}; {self.other_side}"

    def document(self) -> dict[str, Any]:
        return asdict(self)
