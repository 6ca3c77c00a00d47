// Written by `python -m gateway.pages.product_tables`; do not edit.
export const AMOUNT_MINOR_MAX = 1000000000000
export const BILL_REFERENCE_CHARACTERS_MAX = 64
export const CODE_CHARACTERS_MAX = 512
export const CODE_DIGITS = 18
