"""Faults of this package. An outcome (a forged code, an expired token) is never raised, it is returned.

TokensError
├── KeyRingError      the key ring cannot be read, written or changed that way
└── KeySourceError    the identity provider's public keys could not be had, and none are known
"""


class TokensError(Exception):
    """Any fault of this package. Its text never holds key material or a token."""


class KeyRingError(TokensError):
    """A key ring, or a file with private keys, that cannot be used; the text says why and which file."""


class KeySourceError(TokensError):
    """The public keys of the identity provider could not be fetched or hold no usable key."""
