"""base64url without padding (RFC 7515, section 2), canonical in both directions.

Guarantees: `decode(encode(b)) == b`, and `decode` accepts exactly the texts that `encode` makes: no padding, no white
space, no other alphabet, unused trailing bits zero (RFC 4648, 3.5). So two texts never encode the same bytes.
"""

import base64
import binascii
import re
from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)

LAST_CHARACTERS: Final[tuple[frozenset[str], ...]] = (
    frozenset(_ALPHABET),  # 4n characters: no unused bits
    frozenset(),  # 4n + 1 characters: no such encoding
    frozenset(_ALPHABET[::16]),  # 4n + 2 characters: four unused bits
    frozenset(_ALPHABET[::4]),  # 4n + 3 characters: two unused bits
)
"""The possible last characters of a canonical text, by length modulo 4."""


def encode(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes | None:
    """Return the bytes of a canonical text; None for every other text, of any length and alphabet."""
    if not text:
        return b""
    if text[-1] not in LAST_CHARACTERS[len(text) % 4] or _TEXT.fullmatch(text) is None:
        return None
    # Two characters of padding are always enough, and binascii ignores surplus ones.
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "==")
