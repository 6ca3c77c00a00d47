"""Minor units as people read them, with the decimals of ISO 4217."""

from redemption.domain.currencies import decimals_of


def digits_of(currency: str | None) -> int:
    """Return how many digits the minor unit of a currency has."""
    return decimals_of(currency)


def money_text(minor: int, currency: str | None) -> str:
    """Return `-1234567` fen as `-12,345.67`."""
    digits = digits_of(currency)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole:,}{f'.{part:0{digits}}' if digits else ''}"
