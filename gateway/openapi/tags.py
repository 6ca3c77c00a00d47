"""The sections of the API reference, in their order."""

from typing import Final

TAGS: Final[dict[str, str]] = {
    "Scan": "Calls of a till or a scanner while the member is present. The terminal's key identifies the outlet.",
    "Redemptions": "The state of a redemption and its further steps: a hold is captured or voided, a captured "
    "redemption is refunded. Only of the till's own business; everything else is `not_found`.",
    "Earning": "Purchases earn points.",
    "Settlement": "Settlement between businesses: agreements, months, lines, statements, disputes, nets. Needs a key "
    "with the role `settlement`; a key of one business sees its own side only, everything else is `not_found`.",
    "Reconciliation": "A point-of-sale system sends its list of a day and gets the differences from the ledger.",
    "Member app": "Calls of the member's app, with the member's own access token.",
    "Operations": "Live statistics over all workers, with a key that has the role `operations`; a key of one business "
    "sees its own scans.",
    "Platform": "Calls of the platform and of integrators; no credentials.",
}
