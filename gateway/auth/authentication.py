"""Who is calling: terminals and back office by API key, members by access token.

Guarantees: keys are compared by hash in constant time; what is said of a refusal does not tell whether a key id exists;
a revoked key is told so only to somebody who holds it. A key whose requests must be signed (gateway/auth/signatures.py)
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
from tokens.errors import KeySourceError

TERMINAL: Final = "tong.terminal"
"""Where the scope of a request tells whose it is, once that is known: for the figures, which come last."""
BEARER: Final = "Bearer "
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


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who calls with a back-office key: its roles, and the one business it is for (None: the whole group)."""

    key_id: str
    roles: frozenset[str]
    business: str | None

    def sees(self, *businesses: str) -> bool:
        """Whether what belongs to these businesses is this caller's to see. What is not is answered `not_found`."""
        return self.business is None or self.business in businesses

    def acts_for(self, business: str | None, place: str) -> str:
        """The business a call is made for: the key's own, or the one a key of the whole group names.

        Raises `malformed` where none is named, `not_found` for another business than the key's.
        """
        if business is None:
            if self.business is None:
                raise malformed("a key of the whole group names the business it acts for", place)
            return self.business
        if not self.sees(business):
            raise Problem("not_found", "This key sees nothing of that business")
        return business

    def of_group(self) -> None:
        """Raises `forbidden` unless the key is for the whole group."""
        if self.business is not None:
            raise Problem("forbidden", "This call is for keys of the whole group; the key is of one business")


class KeyAuthenticator:
    """Finds the holder of an API key in the configuration in force. One a worker."""

    def __init__(self, configuration: ConfigurationFollower, environment: str, clock: Clock) -> None:
        self._configuration = configuration
        self._environment = environment
        self._clock = clock
        self._used: set[str] = set()
        self._prefix = f"{BEARER}tong_tk_{environment}_"
        self._terminals_of: Configuration | None = None
        self._terminals: dict[bytes, KeyHolder] = {}

    def holder(self, authorization: str | None) -> KeyHolder:
        """Who holds the key. Raises `unauthenticated`, `terminal_revoked`."""
        key = api_keys.parse(bearer(authorization), self._environment)
        if isinstance(key, api_keys.ApiKeyRefused):
            raise _unauthenticated(key.detail)
        holder = self._configuration.current.keys.get(key.key_id)
        if not api_keys.matches(key, holder.fingerprint if holder else _NO_FINGERPRINT) or holder is None:
            raise _unauthenticated("The key is not known here")
        if holder.revoked:
            raise Problem("terminal_revoked", "This key was revoked", headers=_CHALLENGE)
        if holder.ends_at is not None and self._clock() >= holder.ends_at:
            raise Problem("terminal_revoked", "This key's time is over; another took its place", headers=_CHALLENGE)
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
        """The terminal that calls. Its key must have one of the scopes in `needs`; none is asked for where it is empty.

        Raises `unauthenticated` (also for a signature that is missing or wrong), `terminal_revoked`, `forbidden`.
        """
        holder = self._holder_of_valid_key(authorization) or self.holder(authorization)
        if holder.signature is not None:
            try:
                verify_signature(request, body, holder.key_id, holder.signature, self._clock)
            except SignatureRefused as refusal:
                raise _unauthenticated(str(refusal)) from None
        if holder.terminal is None:
            raise Problem("forbidden", "This call is for terminals; the key is not one of a terminal")
        request[TERMINAL] = holder.terminal
        if needs and holder.scopes.isdisjoint(needs):
            wanted = " or ".join(needs)
            raise Problem("forbidden", f"This call needs a key with the scope {wanted}", scope=wanted)
        return holder.terminal

    def take_used(self) -> set[str]:
        """Ids of the keys that were used since the last time this was asked."""
        used, self._used = self._used, set()
        return used

    def administrator(self, authorization: str | None, role: Role) -> Administrator:
        """The back-office key that calls, which has the role.

        Raises `unauthenticated`, `terminal_revoked`, `forbidden` (a terminal's key, or one without the role).
        """
        return administrator(self.holder(authorization), role)


def administrator(holder: KeyHolder, role: Role) -> Administrator:
    """The holder as one of the back office with that role. Raises `forbidden`."""
    if holder.terminal is not None:
        raise Problem("forbidden", "This call is for back-office keys; the key is one of a terminal")
    if role not in holder.roles:
        raise Problem("forbidden", f"This call needs a key with the role {role}")
    return Administrator(holder.key_id, holder.roles, holder.business)


async def authenticate_member(authorization: str | None, verifier: AccessTokenVerifier) -> int:
    """The number of the member whose access token this is. Raises `unauthenticated`, `unavailable`."""
    return (await member_and_expiry(authorization, verifier))[0]


async def member_and_expiry(authorization: str | None, verifier: AccessTokenVerifier) -> tuple[int, float]:
    """The same, and until when the token is good (Unix seconds): what stays open ends then."""
    try:
        access = await verifier.verify(bearer(authorization))
    except KeySourceError:
        raise Problem("unavailable", "The identity provider's keys cannot be read yet") from None
    if isinstance(access, AccessRefused):
        raise _unauthenticated(access.detail)
    number = member_number(access.member_id)
    if number is None:
        raise _unauthenticated("The token's subject is no member of this group")
    return number, access.expires_at
