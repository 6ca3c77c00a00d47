"""Callers and parameters that the operations of settlement and reconciliation share."""

from functools import partial
from typing import Final

from gateway.api.settlement.dispute_schemas import DISPUTE_ID_EXAMPLE
from gateway.api.settlement.reconciliation_schemas import RECONCILIATION_ID_EXAMPLE, RECONCILIATION_ID_PATTERN
from gateway.api.settlement.schemas import LINE_ID_EXAMPLE, PERIOD_ID_EXAMPLE
from gateway.openapi.operation import Parameter, operation
from gateway.openapi.parameters import query, whole_number
from redemption.domain.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX

_ID: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$"}
DAY: Final = {"type": "string", "format": "date"}
MONTH: Final = {"type": "string", "pattern": "^20[2-9][0-9]-?(0[1-9]|1[0-2])$"}
BUSINESS: Final = query(
    "business", "Of this business. A key of one business sees its own whether it names it or not.", _ID, "hotel"
)
COUNTERPARTY: Final = query("counterparty", "Only with this other business.", _ID, "mall")
LIMIT: Final = query("limit", "Items of a page.", whole_number(PAGE_ITEMS_MAX, PAGE_ITEMS_DEFAULT), "50")
CURSOR: Final = query(
    "cursor", "`next_cursor` of the page before.", {"type": "string", "maxLength": 400}, "WyJicmVha2Zhc3QiLDFd"
)
AGREEMENT_ID: Final = Parameter("agreement_id", "path", "The agreement's name.", _ID, "breakfast")
PERIOD: Final = Parameter(
    "period",
    "path",
    "A period's id, `<yyyymm>.<business>.<business>`; of a closed one also its number or its SHA-256.",
    {"type": "string", "maxLength": 80},
    PERIOD_ID_EXAMPLE,
)
LINE_ID: Final = Parameter("line_id", "path", "The line.", {"type": "string", "maxLength": 80}, LINE_ID_EXAMPLE)
DISPUTE_ID: Final = Parameter(
    "dispute_id", "path", "The dispute.", {"type": "string", "maxLength": 90}, DISPUTE_ID_EXAMPLE
)
RECONCILIATION_ID: Final = Parameter(
    "reconciliation_id",
    "path",
    "The reconciliation, as in the answer to the upload.",
    {"type": "string", "pattern": RECONCILIATION_ID_PATTERN},
    RECONCILIATION_ID_EXAMPLE,
)

settlement_operation = partial(operation, tag="Settlement", caller="back_office", role="settlement")
"""An operation for back-office keys with the role `settlement`."""

reconciliation_operation = partial(
    operation, tag="Reconciliation", caller="back_office", role="settlement", also=("terminal",)
)
"""An operation for back-office keys with the role `settlement`, and for terminals."""
