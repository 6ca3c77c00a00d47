"""Keys of terminals and of the back office: `tong_<tk|ak>_<environment>_<id>_<secret><checksum>`.

    tong_tk_dev_Ab3…(12)_…(32)…(6)      base 62; the checksum is CRC-32 of everything before it

Guarantees: a typing error is refused by arithmetic alone (it passes with chance 2^-32); the secret has 190 bits from
the operating system; only the SHA-256 fingerprint is to be stored, which is enough for a secret of that size; a
fingerprint is compared in constant time; the secret is in no repr.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from enum import Enum
from typing import Final

import msgspec

ID_CHARACTERS: Final = 12
SECRET_CHARACTERS: Final = 32
CHECKSUM_CHARACTERS: Final = 6
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY: Final = re.compile(r"tong_(tk|ak)_([a-z0-9]{1,6})_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})", re.ASCII)
KEY_CHARACTERS_MAX: Final = 8 + 6 + 1 + ID_CHARACTERS + 1 + SECRET_CHARACTERS + CHECKSUM_CHARACTERS

assert 62**CHECKSUM_CHARACTERS > 2**32


class KeyKind(Enum):
    """The kind of caller; the value is the second part of the key."""

    TERMINAL = "tk"
    ADMIN = "ak"


class ApiKey(msgspec.Struct, frozen=True):
    """A well-formed key; its fingerprint decides whether it is known and not revoked."""

    kind: KeyKind
    environment: str
    key_id: str
    """Twelve characters, no secret: for look-ups and logs."""
    text: str

    def __repr__(self) -> str:
        return f"ApiKey({self.kind.name}, {self.environment}, {self.key_id})"


class ApiKeyRefused(msgspec.Struct, frozen=True):
    """A text that is not a key; `detail` is an English sentence that repeats nothing of the text."""

    detail: str


NOT_A_KEY: Final = ApiKeyRefused("This is not an API key: tong_tk_… or tong_ak_… is expected.")
MISTYPED: Final = ApiKeyRefused("The API key's checksum does not fit: it was copied or typed wrongly.")
OTHER_ENVIRONMENT: Final = ApiKeyRefused("The API key belongs to another environment.")


def mint(kind: KeyKind, environment: str) -> ApiKey:
    """Make a new key; its `text` is to be shown once. Raises ValueError for a wrong environment name."""
    key_id = _random_base62(ID_CHARACTERS)
    body = f"tong_{kind.value}_{environment}_{key_id}_{_random_base62(SECRET_CHARACTERS)}"
    text = body + _checksum(body)
    if _KEY.fullmatch(text) is None:
        raise ValueError("environment is one to six of a-z and 0-9")
    return ApiKey(kind, environment, key_id, text)


def parse(text: str, environment: str) -> ApiKey | ApiKeyRefused:
    """Find the key in a text of any length, without any look-up."""
    found = _KEY.fullmatch(text) if len(text) <= KEY_CHARACTERS_MAX else None
    if found is None:
        return NOT_A_KEY
    kind, key_environment, key_id, _, checksum = found.groups()
    if _checksum(text[:-CHECKSUM_CHARACTERS]) != checksum:
        return MISTYPED
    if key_environment != environment:
        return OTHER_ENVIRONMENT
    return ApiKey(KeyKind(kind), key_environment, key_id, text)


def fingerprint(key: ApiKey) -> bytes:
    """Return SHA-256 of the whole key, 32 bytes: the value that is stored."""
    return hashlib.sha256(key.text.encode("ascii")).digest()


def matches(key: ApiKey, stored_fingerprint: bytes) -> bool:
    """Return whether the key has this fingerprint, compared in constant time."""
    return hmac.compare_digest(fingerprint(key), stored_fingerprint)


def _random_base62(characters: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(characters))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode("ascii"))
    characters = []
    for _ in range(CHECKSUM_CHARACTERS):
        value, digit = divmod(value, 62)
        characters.append(_BASE62[digit])
    return "".join(reversed(characters))
