"""Exceptions of this package. An outcome (a forged code, an expired token) is never raised, it is returned.

TokensError
├── KeyRingUnusable     a key ring, or a file with private keys, cannot be read, written or changed
└── KeySourceAway       the identity provider's public keys could not be fetched, and none are known

The root is not the product's TongError, because this package knows neither gateway nor redemption. Names follow the
same rule (redemption/domain/errors.py).
"""


class TokensError(Exception):
    """Any fault of this package. Its text never holds key material or a token."""


class KeyRingUnusable(TokensError):
    """A key ring, or a file with private keys, cannot be used; the text says why and which file."""


class KeySourceAway(TokensError):
    """The public keys of the identity provider could not be fetched or hold no usable key."""
