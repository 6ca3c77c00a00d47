"""Prepare texts of others for paper: nothing in them turns a line about, and nothing prints as an empty box.

- Characters that command the direction of a line (U+202E and its like) and other characters without a shape are taken
  out. A name in a script that runs from right to left is isolated inside a line, so that the figures
  beside it stay where they are (Unicode Standard Annex 9, FSI and PDI).
- A character that no font here has is shown as `[U+1820]`; `replaced` says that there was one.
- Long words get places at which a line may break, where a break cannot part what belongs together.
"""

import unicodedata
from functools import cached_property

from gateway.statements.fonts import FoundFont

UNBROKEN_CHARACTERS_MAX = 14
_JOINERS = "\u200c\u200d"
"""Emoji of several parts and the scripts of India and Persia are written with them."""
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_ISOLATE, _END = "\u2068", "\u2069"


class PrintedText:
    """Texts for one document in the fonts that were found."""

    def __init__(self, font: FoundFont) -> None:
        self._font = font
        self.replaced = False
        """True where a character was replaced because no font has it."""

    def clean(self, text: str) -> str:
        """Return the text as it can be printed."""
        if text.isascii() and text.isprintable():
            return text
        return "".join(map(self._printed, text))

    def isolated(self, text: str) -> str:
        """Return the cleaned text for the middle of a line."""
        cleaned = self.clean(text)
        if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in cleaned):
            return f"{_ISOLATE}{cleaned}{_END}"
        return cleaned

    def _printed(self, character: str) -> str:
        code = ord(character)
        if code < 0x7F or character in _JOINERS or _is_variation(code):
            return character if code >= 0x20 else " "
        category = unicodedata.category(character)
        if category in {"Cc", "Zl", "Zp", "Zs"}:
            return " "
        if category == "Cf":
            return ""
        if 0x4E00 <= code <= 0x9FA5 or code in self._covered:
            return character
        self.replaced = True
        return f"[U+{code:04X}]"

    @cached_property
    def _covered(self) -> frozenset[int]:
        """Return the characters of all fonts; read when a text has an unusual one, which takes a second."""
        return self._font.characters()


def _is_variation(code: int) -> bool:
    """Return whether it only chooses between forms of the character before it."""
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


def breakable(text: str) -> str:
    """Return the text with places to break a line in words that are longer than a column is wide (U+200B,
    invisible)."""
    return " ".join(_breakable_word(word) for word in text.split(" "))


def _breakable_word(word: str) -> str:
    cuts = [
        cut
        for cut in range(UNBROKEN_CHARACTERS_MAX, len(word), UNBROKEN_CHARACTERS_MAX)
        if _stands_alone(word[cut - 1]) and _stands_alone(word[cut])
    ]
    return "\u200b".join(word[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(word)], strict=True))


def _stands_alone(character: str) -> bool:
    """Return whether a character neither joins its neighbours nor belongs to one: Latin and Chinese."""
    code = ord(character)
    return code < 0x300 or 0x2E80 <= code < 0xFE00 or 0xFF00 <= code <= 0xFFEF or 0x20000 <= code < 0xE0000
