"""The kind of file that is requested, and its name."""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from gateway.problems.kinds import LANGUAGES, Language
from gateway.statements.tables import SECTIONS, Section
from redemption.settlement.figures import Scope

__all__ = ["FORMATS", "LANGUAGES", "SECTIONS", "Format", "Language", "Section", "StatementRequest"]

Format = Literal["json", "csv", "xlsx", "pdf"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class StatementRequest:
    """One file. `period` as `Statements.resolve` takes it; `section` is the table in a CSV."""

    business: str
    period: str | None = None
    counterparty: str | None = None
    format: Format = "json"
    language: Language = "zh-Hant"
    section: Section = "lines"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    def file_name(self, scope: Scope, *, provisional: bool) -> str:
        """Return `tong-hotel-2026-11.xlsx`; a provisional one says so. Visible ASCII without quotes."""
        parts = ["tong", scope.business, *([scope.counterparty] if scope.counterparty else []), scope.label]
        if self.format == "csv":
            parts.append(self.section)
        if provisional:
            parts.append("PROVISIONAL")
        return re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(parts)) + f".{self.format}"
