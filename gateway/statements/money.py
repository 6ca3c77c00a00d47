"""Minor units as people read them. ISO 4217 gives most currencies two digits after the point; here are the others."""

from typing import Final

_DIGITS: Final = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def digits_of(currency: str | None) -> int:
    """How many digits the minor unit of a currency is."""
    return _DIGITS.get(currency or "", 2)


def money_text(minor: int, currency: str | None) -> str:
    """`-1234567` fen as `-12,345.67`."""
    digits = digits_of(currency)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole:,}{f'.{part:0{digits}}' if digits else ''}"
