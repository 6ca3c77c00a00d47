"""docs/reference/errors.md, made of the table of problems.

Made anew by `python -m tests.support.api.errors_document > docs/reference/errors.md`.

A test holds the file equal to this, so the table, the document and the advice to a till never differ.
"""

import sys
from typing import Final

from gateway.problems.documents import KINDS
from gateway.problems.kinds import TYPE_BASE, Kind

TILL_DOES: Final[dict[str, str]] = {
    "body_too_large": "Nothing: a defect of the till's program. Send less.",
    "unsupported_media_type": "Nothing: a defect of the till's program. Send `Content-Type: application/json`.",
    "malformed": "Nothing: a defect of the till's program. `errors` names the place and the reason.",
    "idempotency_key_missing": "Makes a key of 1 to 64 visible ASCII characters and sends the request with it.",
    "unauthenticated": "Stops and asks for its key to be set up.",
    "terminal_revoked": "Stops: the key was withdrawn, or its time is over. Another one has to be set up here.",
    "forbidden": "Stops: this credential may not make this call. `scope` names what a terminal's key lacks.",
    "not_found": "Checks the id. What belongs to another business is not found either.",
    "method_not_allowed": "Nothing: a defect of the program. `Allow` names the methods.",
    "rate_limited": "Waits for `Retry-After` seconds, then sends the same again. `scope` says whose limit it is.",
    "overloaded": "Waits for `Retry-After` seconds, then sends the same request with the same key.",
    "unavailable": "Sends the same request with the same key after `Retry-After` seconds, with growing pauses. With "
    "`outcome: unknown` it may have been applied: the same key finds out, or `POST /v1/cancel` ends it.",
    "idempotency_key_reused": "Nothing was applied under this body. A new sale takes a new key; the key was given away "
    "to another request before.",
    "cancelled": "Treats the sale as never made; a new sale takes a new key and a fresh code.",
    "code_malformed": "Asks for the right symbol: this was some other code.",
    "code_forged": "Scans again from the member's app, with a new key.",
    "code_expired": "Scans the code the app shows now, with a new key.",
    "code_used": "Scans the code the app shows now, with a new key. If the first answer was lost, it sends the first "
    "request again with its own key instead.",
    "code_revoked": "Scans the code the app shows now, with a new key.",
    "member_blocked": "Charges without the membership.",
    "possible_duplicate": "Asks the cashier, with time and amount of the redemption in `earlier`. If it is meant: a "
    'new key and `"confirm_duplicate": true`. A bill that has earned earns again with another amount only.',
    "leg_not_allowed_here": "Takes the leg `leg` out. `POST /v1/prepare` shows beforehand what may be used.",
    "benefit_unknown": "Takes the leg `leg` out.",
    "benefit_not_now": "Takes the leg `leg` out; `detail` says when it can be used.",
    "benefit_exhausted": "Takes at most `available` uses.",
    "tier_too_low": "Takes the leg `leg` out.",
    "bill_below_minimum": "Takes the leg `leg` out, or adds to the bill.",
    "not_stackable": "Takes one of the legs out; `detail` names them.",
    "points_below_minimum": "Takes at least `available` points, or none.",
    "points_insufficient": "Takes at most `available` points.",
    "stored_value_insufficient": "Takes at most `available` minor units.",
    "earning_limit_reached": "Takes the sale without points and asks a supervisor: `detail` says which ceiling, of the "
    "bill, of the member's day or of this till's day. The next day, or a smaller bill, earns again.",
    "exceeds_bill": "Takes less off: the bill has `available` minor units for it.",
    "hold_expired": "Scans again and makes a new redemption, if the value is still wanted.",
    "already_captured": "Nothing more to capture: what was captured can be refunded.",
    "already_voided": "Nothing: the hold was released.",
    "already_refunded": "Nothing: all of it was given back.",
    "exceeds_hold": "Captures at most `available`.",
    "exceeds_redemption": "Refunds at most `available`.",
    "window_closed": "Nothing at the till: member services can still correct it.",
    "month_not_over": "Waits until the month is over at every outlet of the group.",
    "earlier_month_open": "Closes the month that `detail` names, then sends the same again.",
    "period_not_closed": "Waits for the month to be closed.",
    "period_disputed": "Resolves the open disputes, then approves.",
    "period_not_approved": "Waits for the side that `detail` names to approve.",
    "period_paid": "Nothing: it is paid; `detail` has the reference.",
    "period_altered": "Stops. `tong audit` and a backup of PostgreSQL show what was changed behind the product's back.",
    "own_use": "Nothing: between a business and itself nothing is approved, paid or disputed.",
    "agreement_conflict": "Adds a version to the agreement that `detail` names, or chooses another scope.",
    "already_disputed": "Waits for the open dispute that `detail` names.",
    "already_resolved": "Reads the dispute; what is still wrong is a new dispute.",
    "too_many_redemptions": "Sends a list for each outlet (`outlet`).",
    "devices_exhausted": "Nothing at a till: the member's app removes a device, or replaces it with `replaces`.",
}

_HEAD: Final = """\
<!-- Made by `python -m tests.support.api.errors_document > docs/reference/errors.md`; a test holds it equal. -->

# Refusals

Every error of every path is a problem document (RFC 9457, `application/problem+json`):

```json
{"type": "{TYPE_BASE}points-insufficient", "title": "Not enough points", "status": 409,
 "code": "points_insufficient", "outcome": "not_applied", "retry": "new_key",
 "detail": "2 000 points asked, 1 350 available", "operator_hint": "積分不足：要用 2,000，可用 1,350",
 "leg": 0, "asked": 2000, "available": 1350}
```

A program decides by `code` and `retry`, never by the text. The cashier reads `operator_hint`, in the language of
`Accept-Language` (zh-Hant when it says nothing); where a refusal has `asked` and `available`, the hint says them with
their unit. `detail` is English, for logs and developers. `outcome` is `not_applied`, or `unknown`, which only a 5xx
says.

| `retry` | what it means |
| --- | --- |
| `same_key` | Send the same request again with the same key. It can never be applied twice. |
| `new_key` | Nothing was applied. Correct the request and send it under a new key. |
| `new_code` | Nothing was applied. Scan a fresh code; that is another request and takes a new key. |
| `never` | Nothing was applied, and repeating changes nothing. |

No answer at all (time-out, cut connection) is `same_key`. Where several reasons hold, the first in this order is given.
"""


def _row(kind: Kind) -> str:
    hints = f"{kind.hints['zh-Hant']}<br>{kind.hints['zh-Hans']}<br>{kind.hints['en']}"
    if kind.figures is not None:
        hints += "".join(f"<br>{text}" for text in kind.figures.texts.values())
    return f"| {kind.status} | `{kind.code}` | {kind.title} | `{kind.retry}` | {TILL_DOES[kind.code]} | {hints} |"


def render() -> str:
    """The whole document."""
    return "\n".join(
        (
            _HEAD.replace("{TYPE_BASE}", TYPE_BASE),
            "| status | code | title | retry | what the till does | what the cashier reads |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_row(kind) for kind in KINDS.values()),
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(render())
