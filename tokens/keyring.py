"""The keys that sign and check member codes.

The ring is one JSON file, mode 0600:

    {"version": 1,
     "environment": "dev",
     "next_number": 2,
     "keys": [{"number": 1, "algorithm": "HS256", "signs_from": 0,
               "secret": "<base64url, 32 bytes or more; EdDSA: the 32-byte private key>",
               "digits_secret": "<base64url, 32 bytes or more>"}]}

A key's id is `<environment>-<number>`; a number is never given twice (`next_number`). Per algorithm exactly one key
signs at any moment: the one with the highest number whose `signs_from` (Unix seconds) has come. All others only verify.
`rotate` dates the new key a few seconds ahead, because workers look at the file once a second and one that signs early
would make codes that its neighbours still call forged.

Guarantees: a `KeyRing` never changes, changes give a new one; saving is atomic; key material is in no repr and in no
error text; the JWKS has public keys only, never anything of an HS256 key. Not guaranteed: two operators who rotate at
the same moment do not see each other (the last one wins).
"""

import secrets
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tokens import base64url
from tokens.errors import KeyRingUnusable
from tokens.private_file import FileState, file_state, read_private_file, write_private_file

Algorithm = Literal["HS256", "EdDSA"]

KEYS_MAX: Final = 8  # each key costs the reader of digits one more MAC, and a guesser gets one more chance
KEY_NUMBER_MAX: Final = 9999
KID_CHARACTERS_MAX: Final = (
    9  # keeps an HS256 code within 160 characters: 9999 keys of dev, 99 of an environment of six
)
SECRET_BYTES: Final = 32
SECRET_BYTES_MAX: Final = 64
FILE_BYTES_MAX: Final = 65_536
ROTATION_DELAY_SECONDS: Final = 10  # ten looks of every worker at the file before a new key signs


class _KeyDocument(msgspec.Struct, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=KEY_NUMBER_MAX)]
    algorithm: Algorithm
    signs_from: Annotated[int, msgspec.Meta(ge=0, le=2**40)]
    secret: str
    digits_secret: str

    def __repr__(self) -> str:
        return f"_KeyDocument(number={self.number})"


class _RingDocument(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    environment: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{1,6}\Z")]
    next_number: Annotated[int, msgspec.Meta(ge=1, le=KEY_NUMBER_MAX + 1)]
    keys: Annotated[list[_KeyDocument], msgspec.Meta(min_length=1, max_length=KEYS_MAX)]


_DECODER: Final = msgspec.json.Decoder(_RingDocument)


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key: `secret` signs JWT codes by `algorithm`, `digits_secret` makes the keys of the digits."""

    kid: str
    number: int
    algorithm: Algorithm
    signs_from: int
    secret: bytes = field(repr=False)
    digits_secret: bytes = field(repr=False)

    def private_key(self) -> Ed25519PrivateKey:
        """Return the private key of an EdDSA key. Raises KeyRingUnusable for any other."""
        if self.algorithm != "EdDSA":
            raise KeyRingUnusable(f"key {self.kid} is no EdDSA key")
        return Ed25519PrivateKey.from_private_bytes(self.secret)

    def public_jwk(self) -> dict[str, str] | None:
        """Return the key as RFC 8037; None for a symmetric key, which has no public half."""
        if self.algorithm != "EdDSA":
            return None
        public = self.private_key().public_key().public_bytes_raw()
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.kid,
            "x": base64url.encode(public),
        }


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by rising number. Made by `create`, `load` or a change of another ring."""

    environment: str
    next_number: int
    keys: tuple[RingKey, ...]

    @classmethod
    def create(cls, environment: str, algorithm: Algorithm) -> Self:
        """Return a new ring with one fresh key that signs from now on."""
        ring = cls(environment, 2, (_fresh_key(environment, 1, algorithm, 0),))
        return cls.from_json(ring.to_json())  # checks the environment's name like that of a file

    @classmethod
    def load(cls, path: Path, environment: str) -> "KeyRing":
        """Return the ring of a file. Raises KeyRingUnusable for anything that is not a usable ring of this
        environment."""
        return _load(path, environment)[0]

    def signing_key(self, algorithm: Algorithm, now: float) -> RingKey:
        """Return the key that signs at `now`. Raises KeyRingUnusable where the ring has no key of the algorithm."""
        candidates = [key for key in self.keys if key.algorithm == algorithm]
        if not candidates:
            raise KeyRingUnusable(f"the key ring has no {algorithm} key; rotate one in")
        due = [key for key in candidates if key.signs_from <= now]
        # A clock behind every date must not stop the issuing: the oldest key is the one that every reader has.
        return due[-1] if due else candidates[0]

    def rotate(self, algorithm: Algorithm, now: float, delay_seconds: int = ROTATION_DELAY_SECONDS) -> "KeyRing":
        """Return a ring with one more key, which takes over the signing after the delay; the old ones go on verifying.

        A first key of its algorithm signs at once where nothing else can. Raises KeyRingUnusable when the ring is full.
        """
        if len(self.keys) >= KEYS_MAX:
            raise KeyRingUnusable(f"the key ring holds {KEYS_MAX} keys already; retire one first")
        kid = f"{self.environment}-{self.next_number}"
        if len(kid) > KID_CHARACTERS_MAX or self.next_number > KEY_NUMBER_MAX:
            raise KeyRingUnusable(f"the key numbers are used up: {kid} is too long; create a new ring")
        signs_from = max(0, int(now) + delay_seconds)
        key = _fresh_key(self.environment, self.next_number, algorithm, signs_from)
        return replace(self, next_number=self.next_number + 1, keys=(*self.keys, key))

    def retire(self, kid: str, now: float) -> "KeyRing":
        """Return a ring without that key: its codes are forged from now on.

        Wait 4 000 s after a rotation: 126 s until the key's last code has expired, and an hour in which a late retry or
        cancel with such a code must still find its member.

        Raises KeyRingUnusable for an unknown key and for one that signs.
        """
        retired = next((key for key in self.keys if key.kid == kid), None)
        if retired is None:
            raise KeyRingUnusable("the key ring has no such key")
        if self.signing_key(retired.algorithm, now) is retired:
            raise KeyRingUnusable(f"key {kid} signs; rotate and wait until the new key signs")
        return replace(self, keys=tuple(key for key in self.keys if key is not retired))

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set (RFC 7517) of the EdDSA keys, newest first; empty for a ring of HS256 keys."""
        documents = (key.public_jwk() for key in reversed(self.keys))
        return {"keys": [document for document in documents if document is not None]}

    def save(self, path: Path) -> None:
        """Write the ring, mode 0600, whole or not at all. Raises KeyRingUnusable."""
        try:
            write_private_file(path, self.to_json(), replace=True)
        except OSError as error:
            raise KeyRingUnusable(f"{path} cannot be written: {error.strerror}") from error

    def save_new(self, path: Path) -> bool:
        """Write the ring like `save`, but leave an existing file alone and return False."""
        try:
            return write_private_file(path, self.to_json(), replace=False)
        except OSError as error:
            raise KeyRingUnusable(f"{path} cannot be written: {error.strerror}") from error

    def to_json(self) -> bytes:
        """Return the file's content: private keys, in clear."""
        document = _RingDocument(
            version=1,
            environment=self.environment,
            next_number=self.next_number,
            keys=[
                _KeyDocument(
                    key.number,
                    key.algorithm,
                    key.signs_from,
                    base64url.encode(key.secret),
                    base64url.encode(key.digits_secret),
                )
                for key in self.keys
            ],
        )
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the ring of a file's content. Raises KeyRingUnusable."""
        try:
            document = _DECODER.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            # The message names the place and the expected type, never a value of `secret`; the chain is cut anyway.
            raise KeyRingUnusable(f"not a key ring: {error}") from None
        keys = tuple(
            _checked_key(document.environment, key) for key in sorted(document.keys, key=lambda key: key.number)
        )
        numbers = [key.number for key in keys]
        if len(set(numbers)) != len(numbers):
            raise KeyRingUnusable("not a key ring: a key number is given twice")
        if numbers[-1] >= document.next_number:
            raise KeyRingUnusable("not a key ring: next_number has been given already")
        return cls(document.environment, document.next_number, keys)


def _fresh_key(environment: str, number: int, algorithm: Algorithm, signs_from: int) -> RingKey:
    secret, digits_secret = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SECRET_BYTES)
    return RingKey(f"{environment}-{number}", number, algorithm, signs_from, secret, digits_secret)


def _checked_key(environment: str, document: _KeyDocument) -> RingKey:
    kid = f"{environment}-{document.number}"
    if len(kid) > KID_CHARACTERS_MAX:
        raise KeyRingUnusable(f"not a key ring: key id {kid} has more than {KID_CHARACTERS_MAX} characters")
    secret, digits_secret = base64url.decode(document.secret), base64url.decode(document.digits_secret)
    if secret is None or digits_secret is None:
        raise KeyRingUnusable(f"not a key ring: a secret of key {kid} is not base64url without padding")
    longest = SECRET_BYTES if document.algorithm == "EdDSA" else SECRET_BYTES_MAX
    if not SECRET_BYTES <= len(secret) <= longest or not SECRET_BYTES <= len(digits_secret) <= SECRET_BYTES_MAX:
        raise KeyRingUnusable(f"not a key ring: a secret of key {kid} has the wrong length")
    return RingKey(kid, document.number, document.algorithm, document.signs_from, secret, digits_secret)


def _load(path: Path, environment: str) -> tuple[KeyRing, FileState]:
    try:
        data, state = read_private_file(path, FILE_BYTES_MAX)
    except OSError as error:
        raise KeyRingUnusable(f"{path} cannot be read: {error.strerror}") from error
    try:
        ring = KeyRing.from_json(data)
    except KeyRingUnusable as error:
        raise KeyRingUnusable(f"{path}: {error}") from None
    if ring.environment != environment:
        raise KeyRingUnusable(f"{path} is of environment {ring.environment!r}, not {environment!r}")
    return ring, state


class RingRefresh(Enum):
    """The result of a look at the key file."""

    UNCHANGED = "unchanged"
    RELOADED = "reloaded"
    BROKEN = "broken"
    """The file changed and cannot be used, or is gone: the old ring stays, `fault` says why."""


class KeyRingFile:
    """The ring of a file, kept up to date by the callers of `refresh`. Not for several threads."""

    def __init__(self, path: Path, environment: str) -> None:
        """Load at once. Raises KeyRingUnusable: without a first ring there is nothing to go on with."""
        self._path = path
        self._environment = environment
        self._seen: FileState | None
        self.ring, self._seen = _load(path, environment)
        self.fault: str | None = None

    @classmethod
    def open_or_create(cls, path: Path, environment: str, algorithm: Algorithm, now: float) -> "KeyRingFile":
        """Open the ring of the development stack: a missing file is made, a missing key of the algorithm is rotated
        in."""
        if not path.exists():
            KeyRing.create(environment, algorithm).save_new(path)
        opened = cls(path, environment)
        if all(key.algorithm != algorithm for key in opened.ring.keys):
            opened.ring.rotate(algorithm, now, delay_seconds=0).save(path)
            return cls(path, environment)
        return opened

    def refresh(self) -> RingRefresh:
        """Stat the file and read it only where it changed (10 µs otherwise). Never raises for a bad file."""
        try:
            state: FileState | None = file_state(self._path.stat())
        except OSError:
            state = None
        if state is not None and state == self._seen:
            return RingRefresh.BROKEN if self.fault is not None else RingRefresh.UNCHANGED
        try:
            self.ring, self._seen = _load(self._path, self._environment)
        except KeyRingUnusable as error:
            # Remember the broken state, so that it is read again when it changes and not every second.
            self._seen, self.fault = state, str(error)
            return RingRefresh.BROKEN
        self.fault = None
        return RingRefresh.RELOADED
