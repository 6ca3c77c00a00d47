"""Text that people read: which characters a name may not have, and numbers in sentences.

Guarantees: what `fault_of` passes can be stored (PostgreSQL has no U+0000, UTF-8 no lone surrogates), stays on its line
and cannot turn the text around it about (Unicode Standard Annex 9). Emoji pass, with the joiners they are made of.
"""

import unicodedata
from typing import Final

BIDIRECTIONAL_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LINE_BREAKS: Final = frozenset("\u2028\u2029")
LINES_PATTERN: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*$"
"""A pattern for text of several lines: tabs and line breaks are the only controls, and nothing turns the text."""
ONE_LINE_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$(?!\n)"
"""The rule of `fault_of` as a pattern for msgspec and JSON Schema. JSON decoders refuse lone surrogates themselves."""


def fault_of(text: str) -> str | None:
    """Return why the text may not name anything, without repeating the character; None when it may."""
    if text.isprintable():  # a printable text has no control, format, surrogate or separator character
        return None
    for place, character in enumerate(text, 1):
        kind = _kind_of(character)
        if kind is not None:
            return f"character {place} is U+{ord(character):04X}, {kind}"
    return None


def _kind_of(character: str) -> str | None:
    if character in BIDIRECTIONAL_CONTROLS:
        return "a bidirectional control, which turns the text around it about"
    if character in LINE_BREAKS:
        return "a line break"
    category = unicodedata.category(character)
    if category == "Cc":
        return "a control character"
    if category == "Cs":
        return "half of a surrogate pair"
    return None


def grouped(number: int) -> str:
    """Return a number as people read it in a sentence: 2 000."""
    return f"{number:,}".replace(",", " ")
