"""Who is calling: terminals and back office by API key, members by access token.

Guarantees: keys are compared by hash in constant time; what is said of a refusal does not tell whether a key id exists;
a revoked key is told so only to somebody who holds it.
"""

from typing import Final

from gateway.problems import Problem
from redemption.directory import DirectoryFollower, KeyHolder, Terminal
from redemption.domain.members import member_number
from tokens import api_keys
from tokens.access import AccessRefused, AccessTokenVerifier
from tokens.errors import KeySourceError

_NO_FINGERPRINT: Final = bytes(32)
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="tong"'),)


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers=_CHALLENGE)


def bearer(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer` header (RFC 6750). Raises `unauthenticated`."""
    if not authorization:
        raise _unauthenticated("An Authorization header with a Bearer credential is needed")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthenticated("The Authorization header must be 'Bearer' and a credential")
    return token.strip()


class KeyAuthenticator:
    """Finds the holder of an API key in the directory in force. One a worker."""

    def __init__(self, directory: DirectoryFollower, environment: str) -> None:
        self._directory = directory
        self._environment = environment

    def holder(self, authorization: str | None) -> KeyHolder:
        """Who holds the key. Raises `unauthenticated`, `terminal_revoked`."""
        key = api_keys.parse(bearer(authorization), self._environment)
        if isinstance(key, api_keys.ApiKeyRefused):
            raise _unauthenticated(key.detail)
        holder = self._directory.current.keys.get(key.key_id)
        if not api_keys.matches(key, holder.fingerprint if holder else _NO_FINGERPRINT) or holder is None:
            raise _unauthenticated("The key is not known here")
        if holder.revoked:
            raise Problem("terminal_revoked", "This key was revoked", headers=_CHALLENGE)
        return holder

    def terminal(self, authorization: str | None) -> Terminal:
        """The terminal that calls. Raises `unauthenticated`, `terminal_revoked`, `forbidden`."""
        holder = self.holder(authorization)
        if holder.terminal is None:
            raise Problem("forbidden", "This call is for terminals; the key is not one of a terminal")
        return holder.terminal


async def authenticate_member(authorization: str | None, verifier: AccessTokenVerifier) -> int:
    """The number of the member whose access token this is. Raises `unauthenticated`, `unavailable`."""
    try:
        access = await verifier.verify(bearer(authorization))
    except KeySourceError:
        raise Problem("unavailable", "The identity provider's keys cannot be read yet") from None
    if isinstance(access, AccessRefused):
        raise _unauthenticated(access.detail)
    number = member_number(access.member_id)
    if number is None:
        raise _unauthenticated("The token's subject is no member of this group")
    return number
