"""`python -m gateway.pages.currency_table` writes the pages' table of currency decimals from the product's.

The file is committed, because the pages are built where the product is not installed (gateway/pages/build.py); a test
holds it equal to redemption/domain/currencies.py.
"""

from pathlib import Path
from typing import Final

from redemption.domain.currencies import other_decimals

TABLE: Final = Path(__file__).parent / "web" / "src" / "shared" / "currency_decimals.ts"


def table_text() -> str:
    """Return the content of the file."""
    rows = "".join(f"  {code}: {decimals},\n" for code, decimals in other_decimals().items())
    return (
        "// Written by `python -m gateway.pages.currency_table`; do not edit.\n"
        "/** Currencies that do not have two decimals (ISO 4217). */\n"
        f"export const CURRENCY_DECIMALS: Readonly<Partial<Record<string, number>>> = {{\n{rows}}}\n"
    )


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
