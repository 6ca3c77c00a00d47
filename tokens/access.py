"""Access tokens of members: JWTs of the group's identity provider (RFC 9068 in spirit, RFC 8725 to the letter).

Guarantees:
- Accepted are only tokens with exp, iat and sub, of the given issuer and audience, signed with a key of the
  issuer's JWKS by the one algorithm that this key has (its `alg`, or what its kty and crv imply). Symmetric
  algorithms and `none` cannot be configured, symmetric and private keys of the JWKS are not used.
- `verify` answers a value for every str. It raises KeySourceAway only while no key set was ever had.
- An unknown key id causes at most one fetch of the JWKS per `REFRESH_INTERVAL_SECONDS`, whatever is thrown at it; a set
  older than `KEYS_AGE_MAX_SECONDS` is fetched anew, so a withdrawn key ends; where that fails the old set goes on.
- The cache of verified tokens is bounded, is emptied with every new key set, and never answers at or after exp.

Tokens without a key id are refused: every identity provider that rotates its keys sends one.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import jwt
import msgspec

from tokens.errors import KeySourceAway

TOKEN_CHARACTERS_MAX: Final = 8_192
SUBJECT_CHARACTERS_MAX: Final = 128
LEEWAY_SECONDS: Final = 5
CACHE_TOKENS_MAX: Final = 4_096
KEYS_MAX: Final = 64
REFRESH_INTERVAL_SECONDS: Final = 30
KEYS_AGE_MAX_SECONDS: Final = 900
REFRESH_TIMEOUT_SECONDS: Final = 5.0

_KEY_TYPES: Final[dict[str, str]] = {
    "EdDSA": "OKP",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
}
"""Every algorithm that may be configured, and the kty that its keys must have."""


class KeySource(Protocol):
    """A source of the identity provider's JWKS."""

    async def fetch(self) -> bytes:
        """Return the JSON document. Raises KeySourceAway."""


class MemberAccess(msgspec.Struct, frozen=True):
    """The caller of a member's request: `member_id` is the token's `sub`, unchanged. Times are Unix seconds."""

    member_id: str
    expires_at: float


class AccessRefused(msgspec.Struct, frozen=True):
    """A refused token; `detail` is an English sentence that repeats nothing of the token."""

    detail: str


NOT_A_TOKEN: Final = AccessRefused("The access token is not a JWT.")
NO_KEY_ID: Final = AccessRefused("The access token names no key.")
KEY_UNKNOWN: Final = AccessRefused("The access token names a key that its issuer does not have.")
ALGORITHM_WRONG: Final = AccessRefused("The access token's algorithm is not the one of its key.")
SIGNATURE_WRONG: Final = AccessRefused("The access token's signature is wrong.")
ISSUER_WRONG: Final = AccessRefused("The access token is of another issuer.")
AUDIENCE_WRONG: Final = AccessRefused("The access token is for another audience.")
CLAIM_MISSING: Final = AccessRefused("The access token needs exp, iat, sub, iss and aud.")
CLAIM_WRONG: Final = AccessRefused("A claim of the access token has the wrong type or size.")
EXPIRED: Final = AccessRefused("The access token has expired.")
NOT_YET: Final = AccessRefused("The access token is not valid yet.")

_REFUSALS: Final[tuple[tuple[type[Exception], AccessRefused], ...]] = (
    (jwt.InvalidSignatureError, SIGNATURE_WRONG),
    (jwt.InvalidAlgorithmError, ALGORITHM_WRONG),
    (jwt.InvalidIssuerError, ISSUER_WRONG),
    (jwt.InvalidAudienceError, AUDIENCE_WRONG),
    (jwt.MissingRequiredClaimError, CLAIM_MISSING),
    (jwt.InvalidTokenError, CLAIM_WRONG),
)
"""The order matters: the last one is the base of the others (DecodeError before it would hide the signature's)."""


class AccessTokenVerifier:
    """A verifier of members' access tokens, for one event loop."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        algorithms: Sequence[str],
        source: KeySource,
        clock: Callable[[], float],
    ) -> None:
        """Set the verifier up. Raises ValueError for an algorithm that cannot be pinned to a public key."""
        unknown = [name for name in algorithms if name not in _KEY_TYPES]
        if unknown or not algorithms:
            raise ValueError(f"member algorithms must be among {', '.join(_KEY_TYPES)}")
        self._issuer = issuer
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._source = source
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] | None = None
        self._attempted_at = -math.inf
        self._fetched_at = -math.inf
        self._refreshing = asyncio.Lock()
        self._verified: OrderedDict[bytes, MemberAccess] = OrderedDict()
        self.fault: str | None = None
        """The reason why the last fetch of the keys failed; None where it succeeded."""

    async def verify(self, token: str) -> MemberAccess | AccessRefused:
        """Return the member of a token, or why it is refused.

        Raises KeySourceAway while no key set was ever fetched.
        """
        if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
            return NOT_A_TOKEN
        now = self._clock()
        old = now - self._fetched_at > KEYS_AGE_MAX_SECONDS
        # While one caller fetches, the others go on with the old set; only without any set all must wait.
        if self._keys is None or (old and not self._refreshing.locked()):
            await self.refresh()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._verified.get(digest)
        if known is not None:
            if now < known.expires_at:
                self._verified.move_to_end(digest)
                return known
            del self._verified[digest]
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return NOT_A_TOKEN
        if not isinstance(kid, str):
            return NO_KEY_ID
        key = self._known_keys().get(kid)
        if key is None:
            await self.refresh()
            key = self._known_keys().get(kid)
            if key is None:
                return KEY_UNKNOWN
        answer = self._check(token, key, now)
        if isinstance(answer, MemberAccess) and now < answer.expires_at:
            self._verified[digest] = answer
            if len(self._verified) > CACHE_TOKENS_MAX:
                self._verified.popitem(last=False)
        return answer

    def _known_keys(self) -> dict[str, jwt.PyJWK]:
        if self._keys is None:
            raise KeySourceAway(self.fault or "the identity provider's keys are not known yet")
        return self._keys

    def _check(self, token: str, key: jwt.PyJWK, now: float) -> MemberAccess | AccessRefused:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                # Times are checked below, by the injected clock; PyJWT would read the machine's.
                options={
                    "require": ["exp", "iat", "sub", "iss", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            return next((answer for kind, answer in _REFUSALS if isinstance(error, kind)), NOT_A_TOKEN)
        expires, issued = _moment(claims["exp"]), _moment(claims["iat"])
        starts = _moment(claims.get("nbf", 0))
        subject = claims["sub"]
        if expires is None or issued is None or starts is None:
            return CLAIM_WRONG
        if not 0 < len(subject) <= SUBJECT_CHARACTERS_MAX or not (subject.isascii() and subject.isprintable()):
            return CLAIM_WRONG
        if expires + LEEWAY_SECONDS <= now:
            return EXPIRED
        if max(issued, starts) > now + LEEWAY_SECONDS:
            return NOT_YET
        return MemberAccess(subject, expires)

    async def refresh(self) -> None:
        """Fetch the keys (also at start, so that the first member need not wait); see `fault` for how it went.

        One fetch at a time, and one per interval; who waits for the lock profits from the fetch before.
        """
        async with self._refreshing:
            now = self._clock()
            if abs(now - self._attempted_at) < REFRESH_INTERVAL_SECONDS:
                return
            self._attempted_at = now
            try:
                document = await asyncio.wait_for(self._source.fetch(), REFRESH_TIMEOUT_SECONDS)
                keys = self._usable_keys(document)
            except TimeoutError:
                self.fault = "the identity provider's keys took too long"
                return
            except KeySourceAway as error:
                self.fault = str(error)
                return
            self._keys, self._fetched_at, self.fault = keys, now, None
            self._verified.clear()

    def _usable_keys(self, document: bytes) -> dict[str, jwt.PyJWK]:
        """Return public signature keys by key id; other kinds of keys are ignored, as RFC 7517, section 5, asks."""
        try:
            jwks = msgspec.json.decode(document, type=dict[str, Any])
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise KeySourceAway("the JWKS is not a JSON object") from None
        entries = jwks.get("keys")
        if not isinstance(entries, list) or len(entries) > KEYS_MAX:
            raise KeySourceAway(f"the JWKS has no list of at most {KEYS_MAX} keys")
        keys: dict[str, jwt.PyJWK] = {}
        for entry in entries:
            key = self._usable_key(entry)
            if key is None:
                continue
            if entry["kid"] in keys:
                raise KeySourceAway("the JWKS gives a key id twice")
            keys[entry["kid"]] = key
        if not keys:
            raise KeySourceAway("the JWKS has no usable key")
        return keys

    def _usable_key(self, entry: object) -> jwt.PyJWK | None:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or "d" in entry or "k" in entry:
            return None
        if entry.get("use", "sig") != "sig" or not isinstance(entry.get("alg", ""), str):
            return None
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
            return None
        if key.algorithm_name not in self._algorithms or _KEY_TYPES[key.algorithm_name] != key.key_type:
            return None  # an RSA key that names HS256 is one of them
        return None if key.Algorithm.check_key_length(key.key) else key


def _moment(value: object) -> float | None:
    """Return a NumericDate (RFC 7519, section 2) between 1970 and the year 9999; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 253_402_300_800 else None
