"""Authentication of callers: terminals and back office by API key, members by access token.

Guarantees: keys are compared by hash in constant time; a refusal does not reveal whether a key id exists; only the
holder of a revoked key learns that it was revoked. A key whose requests must be signed (gateway/auth/signatures.py)
opens nothing to a call that is not, whatever the path.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from gateway.auth.signatures import SignatureRefused, verify_signature
from gateway.problems.documents import Problem, malformed
from redemption.configuration.current import Configuration, ConfigurationFollower, KeyHolder, Terminal
from redemption.credentials import Role, TerminalScope
from redemption.domain.clock import Clock
from redemption.domain.members import member_number
from tokens import api_keys
from tokens.access import AccessRefused, AccessTokenVerifier
from tokens.errors import KeySourceAway

TERMINAL: Final = "tong.terminal"
"""The key of a request's scope under which the statistics, which come last, find the terminal."""
BEARER: Final = "Bearer "
_NO_FINGERPRINT: Final = bytes(32)
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="tong"'),)


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers=_CHALLENGE)


def bearer(authorization: str | None) -> str:
    """Return the token of an `Authorization: Bearer` header (RFC 6750). Raises `unauthenticated`."""
    if not authorization:
        raise _unauthenticated("An Authorization header with a Bearer credential is needed")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthenticated("The Authorization header must be 'Bearer' and a credential")
    return token.strip()


@dataclass(frozen=True, slots=True)
class Administrator:
    """A caller with a back-office key: its roles, and its one business (None: the whole group)."""

    key_id: str
    roles: frozenset[str]
    business: str | None

    def sees(self, *businesses: str) -> bool:
        """Return whether the key may read these businesses' data. Where it may not, the answer is `not_found`."""
        return self.business is None or self.business in businesses

    def acts_for(self, business: str | None, place: str) -> str:
        """Return the business a call is made for: the key's own, or the one that a key of the whole group names.

        Raises `malformed` where none is named, `not_found` for another business than the key's.
        """
        if business is None:
            if self.business is None:
                raise malformed("is required with a key of the whole group", place)
            return self.business
        if not self.sees(business):
            raise Problem("not_found", "This key may not read that business")
        return business

    def of_group(self) -> None:
        """Refuse a key of one business. Raises `forbidden` unless the key is for the whole group."""
        if self.business is not None:
            raise Problem("forbidden", "This call needs a key of the whole group")


class KeyAuthenticator:
    """A finder of the holder of an API key in the configuration in force. One a worker."""

    def __init__(self, configuration: ConfigurationFollower, environment: str, clock: Clock) -> None:
        self._configuration = configuration
        self._environment = environment
        self._clock = clock
        self._used: set[str] = set()
        self._prefix = f"{BEARER}tong_tk_{environment}_"
        self._terminals_of: Configuration | None = None
        self._terminals: dict[bytes, KeyHolder] = {}

    def holder(self, authorization: str | None) -> KeyHolder:
        """Return the holder of the key. Raises `unauthenticated`, `terminal_revoked`."""
        key = api_keys.parse(bearer(authorization), self._environment)
        if isinstance(key, api_keys.ApiKeyRefused):
            raise _unauthenticated(key.detail)
        holder = self._configuration.current.keys.get(key.key_id)
        if not api_keys.matches(key, holder.fingerprint if holder else _NO_FINGERPRINT) or holder is None:
            raise _unauthenticated("The key is not known here")
        if holder.revoked:
            raise Problem("terminal_revoked", "This key was revoked", headers=_CHALLENGE)
        if holder.ends_at is not None and self._clock() >= holder.ends_at:
            raise Problem("terminal_revoked", "This key has expired", headers=_CHALLENGE)
        self._used.add(key.key_id)
        return holder

    def _holder_of_valid_key(self, authorization: str | None) -> KeyHolder | None:
        """Return the holder of a terminal's valid key, on the fast path. None: `holder`, the slow path, decides.

        Written for speed, measured by `python -m tests.measure_path`: the key is found by its SHA-256 without being
        parsed. The time of that look-up depends on a hash that nobody can choose; it is compared in constant time all
        the same.
        """
        if authorization is None or not authorization.startswith(self._prefix):
            return None
        configuration = self._configuration.current
        if configuration is not self._terminals_of:
            self._terminals = {
                holder.fingerprint: holder
                for holder in configuration.keys.values()
                if holder.terminal is not None and not holder.revoked
            }
            self._terminals_of = configuration
        found = hashlib.sha256(authorization[len(BEARER) :].encode("latin-1")).digest()
        known = self._terminals.get(found)
        if known is None or not hmac.compare_digest(found, known.fingerprint):
            return None
        if known.ends_at is not None and self._clock() >= known.ends_at:
            return None
        self._used.add(known.key_id)
        return known

    def terminal(
        self, authorization: str | None, needs: tuple[TerminalScope, ...], request: Scope, body: bytes
    ) -> Terminal:
        """Return the terminal that calls. Its key must have one of the scopes in `needs`, unless `needs` is empty.

        Raises `unauthenticated` (also for a signature that is missing or wrong), `terminal_revoked`, `forbidden`.
        """
        holder = self._holder_of_valid_key(authorization) or self.holder(authorization)
        if holder.signature is not None:
            try:
                verify_signature(request, body, holder.key_id, holder.signature, self._clock)
            except SignatureRefused as refusal:
                raise _unauthenticated(str(refusal)) from None
        if holder.terminal is None:
            raise Problem("forbidden", "This call needs a terminal's key")
        request[TERMINAL] = holder.terminal
        if needs and holder.scopes.isdisjoint(needs):
            wanted = " or ".join(needs)
            raise Problem("forbidden", f"This call needs a key with the scope {wanted}", scope=wanted)
        return holder.terminal

    def take_used(self) -> set[str]:
        """Return the ids of the keys that were used since the last call of this."""
        used, self._used = self._used, set()
        return used

    def administrator(self, authorization: str | None, role: Role) -> Administrator:
        """Return the back-office key that calls, which has the role.

        Raises `unauthenticated`, `terminal_revoked`, `forbidden` (a terminal's key, or one without the role).
        """
        return administrator(self.holder(authorization), role)


def administrator(holder: KeyHolder, role: Role) -> Administrator:
    """Return the holder as one of the back office with that role. Raises `forbidden`."""
    if holder.terminal is not None:
        raise Problem("forbidden", "This call needs a back-office key")
    if role not in holder.roles:
        raise Problem("forbidden", f"This call needs a key with the role {role}")
    return Administrator(holder.key_id, holder.roles, holder.business)


async def authenticate_member(authorization: str | None, verifier: AccessTokenVerifier) -> int:
    """Return the number of the member whose access token this is. Raises `unauthenticated`, `unavailable`."""
    return (await member_and_expiry(authorization, verifier))[0]


async def member_and_expiry(authorization: str | None, verifier: AccessTokenVerifier) -> tuple[int, float]:
    """Return the member and the token's expiry in Unix seconds; streams close at expiry."""
    try:
        access = await verifier.verify(bearer(authorization))
    except KeySourceAway:
        raise Problem("unavailable", "The identity provider's keys cannot be read yet") from None
    if isinstance(access, AccessRefused):
        raise _unauthenticated(access.detail)
    number = member_number(access.member_id)
    if number is None:
        raise _unauthenticated("The token's subject is no member of this group")
    return number, access.expires_at
