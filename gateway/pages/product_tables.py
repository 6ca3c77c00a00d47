"""`python -m gateway.pages.product_tables` writes the constants of the product that the pages use as TypeScript.

The files are committed, because the pages are built where the product is not installed (gateway/pages/build.py); a test
holds them equal to redemption/domain/currencies.py and redemption/domain/limits.py.
"""

from pathlib import Path
from typing import Final

from redemption.domain.currencies import other_decimals
from redemption.domain.limits import AMOUNT_MINOR_MAX, BILL_REFERENCE_CHARACTERS_MAX, CODE_CHARACTERS_MAX
from tokens import digits

FOLDER: Final = Path(__file__).parent / "web" / "src" / "shared"
_HEAD: Final = "// Written by `python -m gateway.pages.product_tables`; do not edit.\n"


def tables() -> dict[Path, str]:
    """Return the content of each file."""
    return {FOLDER / "currency_decimals.ts": _HEAD + _currencies(), FOLDER / "limits.ts": _HEAD + _limits()}


def _currencies() -> str:
    rows = "".join(f"  {code}: {decimals},\n" for code, decimals in other_decimals().items())
    return (
        "/** Currencies that do not have two decimals (ISO 4217). */\n"
        f"export const CURRENCY_DECIMALS: Readonly<Partial<Record<string, number>>> = {{\n{rows}}}\n"
    )


def _limits() -> str:
    constants = {
        "AMOUNT_MINOR_MAX": AMOUNT_MINOR_MAX,
        "BILL_REFERENCE_CHARACTERS_MAX": BILL_REFERENCE_CHARACTERS_MAX,
        "CODE_CHARACTERS_MAX": CODE_CHARACTERS_MAX,
        "CODE_DIGITS": digits.LENGTH,
    }
    return "".join(f"export const {name} = {value}\n" for name, value in constants.items())


if __name__ == "__main__":
    for path, text in tables().items():
        path.write_text(text, encoding="utf-8")
