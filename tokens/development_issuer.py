"""The identity provider of the development stack: issues access tokens to the demo's members.

Keeps two files in its folder: `identity-key.json` (private, mode 0600) and `identity-jwks.json` (public). Never to be
used outside the development stack; the gateway refuses its issuer there.

Guarantees: the key survives a restart; two processes that start at once use the same key; it is in no repr.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tokens import base64url
from tokens.errors import KeyRingUnusable
from tokens.private_file import read_private_file, write_private_file

KEY_FILE: Final = "identity-key.json"
JWKS_FILE: Final = "identity-jwks.json"
_FILE_BYTES_MAX: Final = 4_096


class _KeyDocument(msgspec.Struct, forbid_unknown_fields=True):
    kid: str
    private_key: str

    def __repr__(self) -> str:
        return f"_KeyDocument(kid={self.kid!r})"


class DevelopmentIssuer:
    """A signer of access tokens with an EdDSA key of its own."""

    def __init__(self, folder: Path, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        """Open the key in `folder`, or make one. Raises KeyRingUnusable."""
        self.jwks_path = folder / JWKS_FILE
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._kid, self._key = _open_key(folder / KEY_FILE)
        _write_public(self.jwks_path, msgspec.json.encode(self.public_jwks()))

    def access_token(self, member_id: str, lifetime_seconds: int) -> str:
        """Return a token for `member_id`, from now on and for this many seconds."""
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": member_id,
            "iat": now,
            "exp": now + lifetime_seconds,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._kid})

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set (RFC 7517) that checks the tokens; also kept in the file `jwks_path`."""
        x = base64url.encode(self._key.public_key().public_bytes_raw())
        key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self._kid, "x": x}
        return {"keys": [key]}


def _open_key(path: Path) -> tuple[str, Ed25519PrivateKey]:
    try:
        if not path.exists():
            fresh = _KeyDocument(f"development-{secrets.token_hex(4)}", base64url.encode(secrets.token_bytes(32)))
            write_private_file(path, msgspec.json.encode(fresh), replace=False)
        data, _ = read_private_file(path, _FILE_BYTES_MAX)
        document = msgspec.json.decode(data, type=_KeyDocument)
    except OSError as error:
        raise KeyRingUnusable(f"{path} cannot be used: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError):
        raise KeyRingUnusable(f"{path} is not the key of a development issuer") from None
    seed = base64url.decode(document.private_key)
    if seed is None or len(seed) != 32:
        raise KeyRingUnusable(f"{path} does not hold an Ed25519 private key")
    return document.kid, Ed25519PrivateKey.from_private_bytes(seed)


def _write_public(path: Path, data: bytes) -> None:
    try:
        write_private_file(path, data, replace=True)  # whole or not at all; what is public may be private too
        path.chmod(0o644)
    except OSError as error:
        raise KeyRingUnusable(f"{path} cannot be written: {error.strerror}") from error
