"""Removal of what scanners, keyboards and input methods put around and into a code.

At the ends: one AIM symbology identifier (ISO/IEC 15424: `]`, a letter, a letter or digit, as `]C1` or `]Q3`), and
characters that nobody sees: blanks of every kind, line ends, a byte order mark, zero-width and direction marks, the
control characters with which scanners frame and separate data.

Inside, where 18 digits are what is left: blanks, dashes and zero-width characters between groups are taken out, and
full-width digits become plain ones.

Guarantees: a code as it was issued stays as it is, so no two codes become one. A text that is not 18 digits keeps
every character between its ends: a wrong letter stays wrong.
"""

import re
import unicodedata
from typing import Final

from tokens.digits import LENGTH

GROUPED_CHARACTERS_MAX: Final = 4 * LENGTH
"""18 digits in groups never have more characters; a longer text is not examined."""
_AIM_IDENTIFIER: Final = re.compile(r"\][A-Za-z][0-9A-Za-z]", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]*[A-Za-z._][A-Za-z0-9._-]*", re.ASCII)
"""Characters of codes only, and not digits in groups: nothing has to be removed."""
_CONTROLS: Final = "\x01\x02\x03\x04\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
"""SOH, STX, ETX, EOT, the separators FS to US, tabs and line ends."""
_ZERO_WIDTH: Final = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_DIRECTIONS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNSEEN: Final = frozenset(_CONTROLS + _ZERO_WIDTH + _DIRECTIONS)
_BLANKS: Final = frozenset(("Zs", "Zl", "Zp"))
_DASHES: Final = frozenset("\u02d7\u2043\u207b\u208b\u2212\u2796\u30fc\uff70")
"""Substitutes of a hyphen that are no dash to Unicode: minus signs, a hyphen bullet, the long-vowel mark that a
Japanese keyboard makes of the hyphen key."""
_FULL_WIDTH: Final = {ord("\uff10") + digit: ord("0") + digit for digit in range(10)}


def cleaned(text: str) -> str:
    """Return the code in a scanned text: its 18 plain digits where it has them, else the text with both ends stripped.

    Reads `text` a few times over; the caller bounds its length.
    """
    if _PLAIN.fullmatch(text) is not None:
        return text
    inner = _trimmed(text)
    found = _AIM_IDENTIFIER.match(inner)
    if found is not None:
        inner = _trimmed(inner[found.end() :])
    if len(inner) > GROUPED_CHARACTERS_MAX:
        return inner
    digits = "".join(character for character in inner if not _separates(character)).translate(_FULL_WIDTH)
    return digits if len(digits) == LENGTH and digits.isascii() and digits.isdigit() else inner


def _trimmed(text: str) -> str:
    first, last = 0, len(text)
    while first < last and _is_unseen(text[first]):
        first += 1
    while first < last and _is_unseen(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_unseen(character: str) -> bool:
    return character in _UNSEEN or unicodedata.category(character) in _BLANKS


def _separates(character: str) -> bool:
    """Return whether a character may separate the groups of 18 digits."""
    return _is_unseen(character) or character in _DASHES or unicodedata.category(character) == "Pd"
