"""The rows of gateway/api/calls.py for settlement and reconciliation: what each call takes and answers."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.api.settlement import examples
from gateway.api.settlement import reconciliation_schemas as wire_reconciliation
from gateway.api.settlement import schemas as wire_settlement
from gateway.api.settlement.reconciliation_files import FILE_FORMS
from gateway.api.settlement.reconciliation_files import MEDIA_TYPES as RECONCILIATION_MEDIA
from gateway.openapi.operation import Answer, Call, Caller, Parameter
from gateway.statements.request import FORMATS, LANGUAGES, SECTIONS
from gateway.statements.request import MEDIA_TYPES as STATEMENT_MEDIA
from redemption.domain.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from redemption.settlement.definitions import AgreementDefinition
from redemption.settlement.reconciliation import CLASSES

_SETTLEMENT: Final = "Settlement"
_RECONCILIATION: Final = "Reconciliation"
_BASE: Final = "/v1/settlement"


def _word(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _query(
    name: str, description: str, schema: Mapping[str, Any], example: str, *, required: bool = False
) -> Parameter:
    return Parameter(name, "query", description, schema, example, required)


_ID: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$"}
_DAY: Final = {"type": "string", "format": "date"}
_MONTH: Final = {"type": "string", "pattern": "^20[2-9][0-9]-?(0[1-9]|1[0-2])$"}
_BUSINESS: Final = _query(
    "business", "Of this business. A key of one business sees its own whether it names it or not.", _ID, "hotel"
)
_COUNTERPARTY: Final = _query("counterparty", "Only with this other business.", _ID, "mall")
_LIMIT: Final = _query(
    "limit",
    "Items of a page.",
    {"type": "integer", "minimum": 1, "maximum": PAGE_ITEMS_MAX, "default": PAGE_ITEMS_DEFAULT},
    "50",
)
_CURSOR: Final = _query(
    "cursor",
    "`next_cursor` of the page before.",
    {"type": "string", "maxLength": 400},
    "WyJicmVha2Zhc3QiLDFd",
)
_PAGE: Final = (_LIMIT, _CURSOR)
_AGREEMENT_ID: Final = Parameter("agreement_id", "path", "Its name.", _ID, "breakfast")
_PERIOD: Final = Parameter(
    "period",
    "path",
    "A period's id, `<yyyymm>.<business>.<business>`; of a closed one also its number or its SHA-256.",
    {"type": "string", "maxLength": 80},
    wire_settlement.PERIOD_ID_EXAMPLE,
)
_LINE_ID: Final = Parameter(
    "line_id", "path", "The line.", {"type": "string", "maxLength": 80}, wire_settlement.LINE_ID_EXAMPLE
)
_DISPUTE_ID: Final = Parameter(
    "dispute_id", "path", "The dispute.", {"type": "string", "maxLength": 90}, wire_settlement.DISPUTE_ID_EXAMPLE
)
_RECONCILIATION_ID: Final = Parameter(
    "reconciliation_id",
    "path",
    "The reconciliation, as the upload answered it.",
    {"type": "string", "pattern": wire_reconciliation.RECONCILIATION_ID_PATTERN},
    wire_reconciliation.RECONCILIATION_ID_EXAMPLE,
)

_BODY: Final = ("body_too_large", "unsupported_media_type", "malformed")
_SEEN: Final = (
    "unauthenticated", "terminal_revoked", "forbidden", "rate_limited", "overloaded", "unavailable", "not_found",
)  # fmt: skip
_LISTED: Final = ("malformed", *_SEEN)


def _row(
    operation_id: str, method: Any, path: str, answers: Answer | tuple[Answer, ...], refusals: tuple[str, ...],
    *parameters: Parameter,
    tag: str = _SETTLEMENT, **rest: Any,
) -> Call:  # fmt: skip
    also: tuple[Caller, ...] = ("terminal",) if tag == _RECONCILIATION else ()
    whole = answers if isinstance(answers, tuple) else (answers,)
    return Call(
        operation_id, method, f"{_BASE}{path}", tag, "back_office", whole, refusals,
        parameters=parameters, also=also, **rest,
    )  # fmt: skip


def _agreements() -> tuple[Call, ...]:
    page = Answer("A page of versions.", wire_settlement.AgreementsAnswer, examples.AGREEMENTS)
    added = wire_settlement.AgreementAdded
    return (
        _row("listAgreements", "GET", "/agreements", page, _LISTED, _BUSINESS, *_PAGE),
        _row("listAgreementVersions", "GET", "/agreements/{agreement_id}", page, _LISTED, _AGREEMENT_ID, _CURSOR),
        _row(
            "addAgreementVersion",
            "POST",
            "/agreements/{agreement_id}/versions",
            (
                Answer("It was in force already; nothing was added.", added, examples.ADDED),
                Answer("Added.", added, examples.ADDED, 201),
            ),
            (*_BODY, *_SEEN[:-1], "agreement_conflict"),
            _AGREEMENT_ID,
            request=AgreementDefinition,
            request_examples=examples.DEFINITIONS,
        ),
    )


def _periods() -> tuple[Call, ...]:
    one = Answer("The period.", wire_settlement.PeriodAnswer, examples.PERIOD)
    file = Answer(
        "The canonical lines.", None, examples.EXPORT, media_type="text/plain; charset=utf-8",
        headers=("ETag", "Content-Disposition"),
    )  # fmt: skip
    status = _query("status", "Only in this state.", _word("open", "closed", "approved", "paid"), "closed")
    months = _query("month", "Only of this month.", _MONTH, "2026-11")
    return (
        _row(
            "listPeriods",
            "GET",
            "/periods",
            Answer("A page of periods.", wire_settlement.PeriodsAnswer, examples.PERIODS),
            _LISTED,
            *(months, status, _BUSINESS, _COUNTERPARTY, *_PAGE),
        ),
        _row("getPeriod", "GET", "/periods/{period}", one, _SEEN, _PERIOD),
        _row(
            "listPeriodLines",
            "GET",
            "/periods/{period}/lines",
            Answer("A page of lines.", wire_settlement.LinesAnswer, examples.LINES),
            _LISTED,
            *(_PERIOD, *_PAGE),
        ),
        _row(
            "exportPeriod",
            "GET",
            "/periods/{period}/export",
            file,
            (*_SEEN, "period_not_closed", "period_altered"),
            _PERIOD,
        ),
        _row(
            "approvePeriod",
            "POST",
            "/periods/{period}/approve",
            one,
            (*_BODY, *_SEEN, "period_not_closed", "period_disputed", "own_use"),
            _PERIOD,
            request=wire_settlement.ApproveRequest,
            request_required=False,
            request_examples=examples.APPROVE,
        ),
        _row(
            "payPeriod",
            "POST",
            "/periods/{period}/pay",
            one,
            (*_BODY, *_SEEN, "period_not_closed", "period_not_approved", "period_paid", "own_use"),
            _PERIOD,
            request=wire_settlement.PayRequest,
            request_examples=examples.PAY,
        ),
    )


def _months() -> tuple[Call, ...]:
    month = Parameter("month", "path", "The month.", _MONTH, "2026-11")
    return (
        _row(
            "closeMonth",
            "POST",
            "/months/{month}/close",
            Answer("Closed, now or before.", wire_settlement.MonthClosed, examples.MONTH_CLOSED),
            (*_BODY, *_SEEN[:-1], "month_not_over", "earlier_month_open", "period_altered"),
            month,
            request=wire_settlement.CloseRequest,
            request_required=False,
            request_examples={"nothing": {}},
        ),
        _row(
            "listNets",
            "GET",
            "/nets",
            Answer("Who pays whom.", wire_settlement.NetsAnswer, examples.NETS),
            _LISTED,
            *(_query("month", "The month.", _MONTH, "2026-11", required=True), _BUSINESS),
        ),
    )


def _statements() -> tuple[Call, ...]:
    media = {STATEMENT_MEDIA[form]: "…" for form in FORMATS if form != "json"}
    period = "A month, a day, `today`, or the id of a pair's period; absent: the running month so far."
    return (
        _row(
            "getStatement",
            "GET",
            "/statements",
            Answer(
                "The file.", dict[str, Any], examples.STATEMENT, other_media=media,
                headers=("ETag", "Content-Disposition"),
            ),
            _LISTED,
            _BUSINESS,
            _query("period", period, {"type": "string", "maxLength": 80}, "2026-11"),
            _COUNTERPARTY,
            _query("format", "Absent: json.", _word(*FORMATS), "xlsx"),
            _query("language", "Of names and headings; absent: zh-Hant.", _word(*LANGUAGES), "zh-Hant"),
            _query("section", "Which table a CSV holds; absent: lines.", _word(*SECTIONS), "lines"),
        ),
    )  # fmt: skip


def _disputes() -> tuple[Call, ...]:
    one, resolved = (
        Answer("The dispute.", wire_settlement.DisputeAnswer, example)
        for example in (examples.OPENED, examples.RESOLVED)
    )
    opened = Answer("It is open, now or before.", wire_settlement.DisputeAnswer, examples.OPENED, 201)
    status = _query("status", "Absent: open.", _word("open", "resolved", "all"), "open")
    return (
        _row(
            "listSettlementExceptions",
            "GET",
            "/exceptions",
            Answer("A page of them.", wire_settlement.ExceptionsAnswer, examples.EXCEPTIONS),
            _LISTED,
            *(_BUSINESS, *_PAGE),
        ),
        _row(
            "listDisputes",
            "GET",
            "/disputes",
            Answer(
                "A page of disputes.",
                wire_settlement.DisputesAnswer,
                {"disputes": [examples.OPENED], "next_cursor": None},
            ),
            _LISTED,
            *(status, _BUSINESS, *_PAGE),
        ),
        _row("getDispute", "GET", "/disputes/{dispute_id}", one, _SEEN, _DISPUTE_ID),
        _row(
            "resolveDispute",
            "POST",
            "/disputes/{dispute_id}/resolve",
            resolved,
            (*_BODY, *_SEEN, "already_resolved"),
            _DISPUTE_ID,
            request=wire_settlement.ResolveRequest,
            request_examples=examples.RESOLVE,
        ),
        _row(
            "openDispute",
            "POST",
            "/lines/{line_id}/disputes",
            opened,
            (*_BODY, *_SEEN, "own_use", "already_disputed"),
            _LINE_ID,
            request=wire_settlement.DisputeRequest,
            request_examples=examples.DISPUTE,
        ),
    )


def _reconciliations() -> tuple[Call, ...]:
    whole, shape = wire_reconciliation.ReconciliationAnswer, examples.RECONCILIATION
    media = {RECONCILIATION_MEDIA[form]: "…" for form in FILE_FORMS if form != "json"}
    outlet = {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}
    day = "Which business day the list is of, in the zone of the outlets (of the group, where they differ)."
    return (
        _row(
            "createReconciliation",
            "POST",
            "/reconciliations",
            (Answer("The same list was compared before.", whole, shape), Answer("Compared.", whole, shape, 201)),
            (*_BODY, *_SEEN, "too_many_redemptions"),
            _query("day", day, _DAY, "2026-11-22", required=True),
            _BUSINESS,
            _query("outlet", "The list is of this outlet only.", outlet, "out_mall_1"),
            tag=_RECONCILIATION,
            request=wire_reconciliation.TillListRequest,
            request_examples=examples.TILL_LIST,
            uploads={"text/csv": examples.TILL_LIST_CSV},
        ),
        _row(
            "listReconciliations",
            "GET",
            "/reconciliations",
            Answer("A page of them.", wire_reconciliation.ReconciliationsAnswer, examples.RECONCILIATIONS),
            _LISTED,
            *(_BUSINESS, _query("day", "Only of this day.", _DAY, "2026-11-22"), *_PAGE),
            tag=_RECONCILIATION,
        ),
        _row(
            "getReconciliation",
            "GET",
            "/reconciliations/{reconciliation_id}",
            Answer("The reconciliation.", whole, shape),
            _SEEN,
            _RECONCILIATION_ID,
            tag=_RECONCILIATION,
        ),
        _row(
            "listReconciledBills",
            "GET",
            "/reconciliations/{reconciliation_id}/bills",
            Answer("A page of bills.", wire_reconciliation.ReconciledBillsAnswer, examples.BILLS),
            _LISTED,
            *(_RECONCILIATION_ID, _query("class", "Only of this class.", _word(*CLASSES), "missing_here"), *_PAGE),
            tag=_RECONCILIATION,
        ),
        _row(
            "downloadReconciliation",
            "GET",
            "/reconciliations/{reconciliation_id}/file",
            Answer("The file.", dict[str, Any], {**examples.RECONCILIATION_HEAD, "bills": [examples.BILL]},
                   other_media=media, headers=("Content-Disposition",)),
            _LISTED,
            *(_RECONCILIATION_ID, _query("format", "Absent: csv.", _word(*FILE_FORMS), "xlsx"),
              _query("language", "Of the explanations; absent: after Accept-Language.", _word(*LANGUAGES), "en")),
            tag=_RECONCILIATION,
        ),
    )  # fmt: skip


SETTLEMENT_CALLS: Final[tuple[Call, ...]] = (
    *_agreements(), *_periods(), *_months(), *_statements(), *_disputes(), *_reconciliations(),
)  # fmt: skip
