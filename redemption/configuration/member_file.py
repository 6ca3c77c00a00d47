"""The file of members: JSON lines, one member a line with the fields of `members` in the group file, streamed.

Guarantees: memory does not grow with the file, but for one bit for each member number there can be; a line that is not
a member is reported with its number and reason, each of them up to a bound; no member number is taken from two lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from redemption.configuration.document_faults import faults_of_text, faults_of_type, sentences
from redemption.configuration.group import GroupFileRefused, MemberEntry
from redemption.configuration.member_load import BATCH_MEMBERS, Known, Placed
from redemption.configuration.strict_text import DocumentRefused, read_json
from redemption.domain.limits import MEMBER_LINE_BYTES_MAX, MEMBER_LINE_FAULTS_MAX, MEMBER_NUMBERS

FAULTS_PER_LINE_MAX: Final = 3


@dataclass(slots=True)
class MemberLines:
    """One pass over a file. `faults` are sentences with the line; `fault_count` counts those that are not kept too."""

    path: Path
    known: Known
    read: int = 0
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0

    def batches(self) -> Iterator[list[Placed]]:
        """Read the members, at most `BATCH_MEMBERS` at a time. Raises `GroupFileRefused` where there is no file."""
        seen = bytearray(MEMBER_NUMBERS // 8 + 1)
        batch: list[Placed] = []
        try:
            with self.path.open("rb") as file:
                for number, line in _lines(file):
                    entry = self._member(number, line)
                    if entry is None:
                        continue
                    at, bit = divmod(entry.number, 8)
                    if seen[at] & 1 << bit:
                        self._fault(number, f"member {entry.number} is on an earlier line too")
                        continue
                    seen[at] |= 1 << bit
                    self.read += 1
                    batch.append(Placed(f"line {number}", entry))
                    if len(batch) == BATCH_MEMBERS:
                        yield batch
                        batch = []
        except OSError as fault:
            raise GroupFileRefused(f"{self.path} cannot be read: {fault.strerror}") from None
        if batch:
            yield batch

    def check(self) -> int:
        """Read the whole file and return the number of members. Raises `GroupFileRefused` with every fault."""
        for _ in self.batches():
            pass
        if self.fault_count:
            told = [*self.faults]
            if self.fault_count > len(told):
                told.append(f"and {self.fault_count - len(told)} more")
            raise GroupFileRefused(
                "\n  ".join([f"{self.path}: {self.fault_count} faults; no member was loaded", *told])
            )
        return self.read

    def _member(self, number: int, line: bytes | None) -> MemberEntry | None:
        if line is None:
            self._fault(number, f"is longer than {MEMBER_LINE_BYTES_MAX} bytes")
            return None
        try:
            document = read_json(line)
        except DocumentRefused as fault:
            self._fault(number, str(fault).removeprefix("line 1, "))
            return None
        faults: list[object] = [f"`{each.key[:64]}` is a duplicate key" for each in document.duplicates]
        faults += faults_of_text(document.value)
        faults += faults_of_type(document.value, MemberEntry)
        if not faults:
            entry = msgspec.convert(document.value, MemberEntry)
            faults += self.known.faults_of(entry)
            if not faults:
                return entry
        self._fault(number, "; ".join(sentences(map(str, faults), FAULTS_PER_LINE_MAX)))
        return None

    def _fault(self, number: int, reason: str) -> None:
        self.fault_count += 1
        if len(self.faults) < MEMBER_LINE_FAULTS_MAX:
            self.faults.append(f"line {number}: {reason}")


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines with their numbers, without empty ones; None for one that is too long."""
    number = 0
    while line := file.readline(MEMBER_LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > MEMBER_LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(MEMBER_LINE_BYTES_MAX)
            yield number, None
        elif line.strip():
            yield number, line
