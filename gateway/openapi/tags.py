"""The sections of the API reference, in their order."""

from typing import Final

TAGS: Final[dict[str, str]] = {
    "Scan": "What a till or a scanner calls while the member stands there. The terminal's key says which outlet it is.",
    "Redemptions": "What became of a scan, and what a till does with it afterwards: a hold is captured or voided, what "
    "was captured is refunded. Only of the till's own business; everything else is `not_found`.",
    "Earning": "Purchases earn points.",
    "Settlement": "Who owes whom: agreements, months, lines, statements, disputes, nets. With a key that has the role "
    "`settlement`; a key of one business sees what it is a side of, everything else is `not_found`.",
    "Reconciliation": "A point-of-sale system sends what it took on a day and learns where the ledger differs.",
    "Member app": "What the member's app calls, with the member's own access token.",
    "Operations": "Live figures over all workers, with a key that has the role `operations`; a key of one business is "
    "told of its own scans.",
    "Platform": "What the platform and integrators ask; no credentials.",
}
