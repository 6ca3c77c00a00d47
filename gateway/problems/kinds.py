"""The type of a row of the table of problems, and its texts from hints.toml; the table is in documents.py."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

TYPE_BASE: Final = "https://tong.invalid/problems/"
"""`type` is an identifier, not an address (RFC 9457 §3.1.1); every kind is described at /docs. `.invalid`: RFC 2606."""

Retry = Literal["same_key", "new_key", "new_code", "never"]
Language = Literal["zh-Hant", "zh-Hans", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""The order of the languages wherever a text has one entry for each."""


Unit = Literal["points", "uses", "money", "leg", "seconds", "count"]
"""The unit of a refusal's figures; `leg`: the unit of the refused leg."""


class Figures(NamedTuple):
    """The hint of a refusal that has figures: their unit, and by language a text with {asked} and {available}."""

    unit: Unit
    texts: dict[Language, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `hints` are what a cashier reads, by language; `figures` the same with numbers."""

    code: str
    status: int
    title: str
    retry: Retry
    hints: dict[Language, str] = field(repr=False)
    outcome: Literal["not_applied", "unknown"] = "not_applied"
    figures: Figures | None = field(default=None, repr=False)

    def hint(self, language: Language, asked: str | None = None, available: str | None = None) -> str:
        """Return the sentence for the cashier, with the figures where the refusal came with some."""
        if self.figures is None or available is None:
            return self.hints[language]
        return self.figures.texts[language].format(asked=asked, available=available)

    @property
    def type_uri(self) -> str:
        return TYPE_BASE + self.code.replace("_", "-")


_TEXTS: Final[dict[str, dict[str, dict[Language, str]]]] = tomllib.loads(
    Path(__file__).with_name("hints.toml").read_text(encoding="utf-8")
)


def kind(
    code: str, status: int, title: str, retry: Retry, *, hint: str | None = None, unit: Unit | None = None
) -> Kind:
    """Make a row with the texts of hints.toml.

    `hint` names a hint that several kinds share; without it the kind has its own. `unit` is that of the figures.
    """
    figures = Figures(unit, _TEXTS["figures"][code]) if unit else None
    return Kind(code, status, title, retry, _TEXTS["hint"][hint or code], figures=figures)
