"""Reconciliation of a till's day with the ledger: a list is uploaded, the differences are returned and kept.

A terminal's key and a key with the role settlement may call; both see their own business. The key is checked before
the list is read, so that an unknown caller cannot make a worker read megabytes.
"""

import datetime
import tempfile
from contextlib import ExitStack
from typing import IO, Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import count_office, counted_terminal
from gateway.api.settlement import examples
from gateway.api.settlement.access import actor_name, id_in_path, known_business
from gateway.api.settlement.limiter import SettlementLimiter
from gateway.api.settlement.operations import BUSINESS, CURSOR, DAY, LIMIT, RECONCILIATION_ID, reconciliation_operation
from gateway.api.settlement.reconciliation_files import FILE_FORMS, MEDIA_TYPES, file_name, write_file
from gateway.api.settlement.reconciliation_schemas import (
    ReconciledBill,
    ReconciledBillsAnswer,
    ReconciliationAnswer,
    ReconciliationHead,
    ReconciliationsAnswer,
    TillListRequest,
)
from gateway.api.state import State
from gateway.auth.authentication import Administrator, administrator
from gateway.http.body import read_upload
from gateway.http.files import FileAnswer
from gateway.http.queries import Query, cursor_of
from gateway.http.responses import respond
from gateway.openapi.operation import Returns
from gateway.openapi.parameters import one_of, query
from gateway.problems import groups
from gateway.problems.documents import Problem, language_of, malformed
from gateway.problems.kinds import LANGUAGES, Language
from redemption.domain.limits import RECONCILED_ITEMS_SHOWN, TILL_LIST_BYTES_MAX
from redemption.settlement.reconciliation import CLASSES
from redemption.settlement.reconciling import Document, ReconcileRefused, Reconciliation, Upload
from redemption.settlement.till_lists.reading import TillListRefused
from redemption.settlement.till_lists.text import charset_named

UPLOAD_SECONDS: Final = 60.0
_OUTLET: Final = "[a-z0-9_-]{1,64}"
_SPOOLED_BYTES: Final = 1024 * 1024
_ANY: Final = (*CLASSES, None)


@reconciliation_operation(
    "createReconciliation",
    "POST",
    "/v1/settlement/reconciliations",
    parameters=(
        query(
            "day",
            "The business day of the list, in the zone of the outlets (of the group, where they differ).",
            DAY,
            "2026-11-22",
            required=True,
        ),
        BUSINESS,
        query(
            "outlet",
            "The list is of this outlet only.",
            {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"},
            "out_mall_1",
        ),
    ),
    request=TillListRequest,
    request_examples=examples.TILL_LIST,
    uploads={"text/csv": examples.TILL_LIST_CSV},
    returns=(
        Returns("The same list was compared before.", ReconciliationAnswer, examples.RECONCILIATION),
        Returns("Compared.", ReconciliationAnswer, examples.RECONCILIATION, 201),
    ),
    refusals=(*groups.BODY, *groups.SETTLEMENT, "too_many_redemptions"),
)
async def reconcile(request: Request) -> Response:
    """Compares a till's list of a day with the ledger, bill by bill, and keeps the answer for download.

    The list is CSV (`text/csv`; its charset is detected where none is named) or JSON. It is accepted whole, or
    every wrong row is named. Bills that do not match are explained in the reader's language.
    The same list against an unchanged ledger is the same reconciliation (200), so it can be repeated safely.
    """
    query = Query(request, "business", "outlet", "day")
    business, outlet, day = query.business(), query.text("outlet", _OUTLET, "the id of an outlet"), query.day("day")
    if day is None:
        raise malformed("is missing: the day of the list, written like 2026-11-22", "day")
    form, charset = _form_of(request.headers.get("content-type"))
    _refuse_by_length(request.headers.get("content-length"))
    limiter, who = _known(request)
    if who.roles:
        await count_office(request.app.state.tong, who.key_id)
    chosen = known_business(request, who.acts_for(business, "business"))
    with limiter.transfer():
        data = await read_upload(request.receive, TILL_LIST_BYTES_MAX, UPLOAD_SECONDS)
        name = actor_name(who) if who.roles else f"terminal {(await counted_terminal(request, data)).terminal_id}"
        upload = Upload(chosen, outlet, day, data, form, name, charset)
        result = await limiter.run(limiter.reconciliations.reconcile(upload), changes=True, seconds=UPLOAD_SECONDS)
        if isinstance(result, TillListRefused):
            raise _list_refused(result)
        if isinstance(result, ReconcileRefused):
            raise _refused(result)
        found, is_fresh = result
        return respond(await _whole(limiter, found, _language(request)), 201 if is_fresh else 200)


@reconciliation_operation(
    "listReconciliations",
    "GET",
    "/v1/settlement/reconciliations",
    parameters=(
        BUSINESS,
        query("day", "Only of this day.", DAY, "2026-11-22"),
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of reconciliations.", ReconciliationsAnswer, examples.RECONCILIATIONS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_reconciliations(request: Request) -> Response:
    """The reconciliations that are still kept, newest first."""
    query = Query(request, "business", "day", "limit", "cursor")
    business, day, limit = query.business(), query.day("day"), query.limit()
    after = query.cursor(tuple[datetime.datetime, str])
    limiter, who, _ = await _caller(request)
    seen = who.business if business is None else known_business(request, who.acts_for(business, "business"))
    found = await limiter.run(limiter.reconciliations.listed(seen, day, after, limit + 1))
    shown = found[:limit]
    last = (shown[-1].created_at, shown[-1].reconciliation_id) if shown else None
    cursor = cursor_of(last, more=len(found) > limit)
    language = _language(request)
    return respond(ReconciliationsAnswer([ReconciliationHead.of(each, language) for each in shown], cursor))


@reconciliation_operation(
    "getReconciliation",
    "GET",
    "/v1/settlement/reconciliations/{reconciliation_id}",
    parameters=(RECONCILIATION_ID,),
    returns=(Returns("The reconciliation.", ReconciliationAnswer, examples.RECONCILIATION),),
    refusals=groups.SETTLEMENT,
)
async def read_reconciliation(request: Request) -> Response:
    """A reconciliation: its sums, and the first bills of each class that needs attention."""
    limiter, who, _ = await _caller(request)
    return respond(await _whole(limiter, await _seen(request, limiter, who), _language(request)))


@reconciliation_operation(
    "listReconciledBills",
    "GET",
    "/v1/settlement/reconciliations/{reconciliation_id}/bills",
    parameters=(
        RECONCILIATION_ID,
        query("class", "Only of this class.", one_of(*CLASSES), "missing_here"),
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of bills.", ReconciledBillsAnswer, examples.BILLS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_bills(request: Request) -> Response:
    """The bills of a reconciliation, all or those of one class."""
    query = Query(request, "class", "limit", "cursor")
    kind, limit, after = query.one_of("class", _ANY, None), query.limit(), query.cursor(int)
    limiter, who, _ = await _caller(request)
    found = await _seen(request, limiter, who)
    begin, end = found.places_of(kind)
    begin = max(begin, after or 0)
    stop = max(begin, min(end, begin + limit))
    language = _language(request)
    items = await limiter.run(limiter.reconciliations.items(found, begin, stop))
    bills = [ReconciledBill.of(item, language) for item in items]
    return respond(ReconciledBillsAnswer(bills, cursor_of(stop, more=stop < end)))


@reconciliation_operation(
    "downloadReconciliation",
    "GET",
    "/v1/settlement/reconciliations/{reconciliation_id}/file",
    parameters=(
        RECONCILIATION_ID,
        query("format", "Absent: csv.", one_of(*FILE_FORMS), "xlsx"),
        query("language", "Of the explanations; absent: after Accept-Language.", one_of(*LANGUAGES), "en"),
    ),
    returns=(
        Returns(
            "The file.",
            dict[str, Any],
            {**examples.RECONCILIATION_HEAD, "bills": [examples.BILL]},
            other_media={MEDIA_TYPES[form]: "…" for form in FILE_FORMS if form != "json"},
            headers=("Content-Disposition",),
        ),
    ),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def download_reconciliation(request: Request) -> Response:
    """All bills of a reconciliation as CSV, XLSX or JSON, each explained in words."""
    query = Query(request, "format", "language")
    form = query.one_of("format", FILE_FORMS, "csv")
    language = query.one_of("language", LANGUAGES, _language(request))
    limiter, who, _ = await _caller(request)
    found = await _seen(request, limiter, who)
    with ExitStack() as stack:
        stack.enter_context(limiter.transfer())
        file: IO[bytes] = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED_BYTES))
        batches = limiter.reconciliations.file(found)
        await limiter.run(write_file(file, form, found, batches, language), seconds=UPLOAD_SECONDS)
        return FileAnswer(file, MEDIA_TYPES[form], file_name(found, form), None, stack.pop_all())


def _known(request: Request) -> tuple[SettlementLimiter, Administrator]:
    """Return the limiter and what the holder of the key may see. `_caller` checks the signature of a terminal."""
    state: State = request.app.state.tong
    holder = state.authenticator.holder(request.headers.get("authorization"))
    if holder.terminal is not None:
        return state.settlement, Administrator(holder.key_id, frozenset(), holder.terminal.business.business_id)
    return state.settlement, administrator(holder, "settlement")


async def _caller(request: Request) -> tuple[SettlementLimiter, Administrator, str]:
    """Count the call and return the limiter, what the caller may see, and its name for the record."""
    limiter, who = _known(request)
    if who.roles:  # a terminal has none
        await count_office(request.app.state.tong, who.key_id)
        return limiter, who, actor_name(who)
    terminal = await counted_terminal(request)
    return limiter, who, f"terminal {terminal.terminal_id}"


async def _seen(request: Request, limiter: SettlementLimiter, who: Administrator) -> Reconciliation:
    found = await limiter.run(limiter.reconciliations.get(id_in_path(request, "reconciliation_id")))
    if found is None or not who.sees(found.business):
        raise Problem("not_found", "There is no such reconciliation of this business, or it is no longer kept")
    return found


def _language(request: Request) -> Language:
    return language_of(request.headers.get("accept-language"))


async def _whole(limiter: SettlementLimiter, found: Reconciliation, language: Language) -> ReconciliationAnswer:
    """Return a reconciliation with the first bills of each class but `matched`."""
    bills: list[Document] = []
    _, end = found.places_of(None)
    for kind in CLASSES:
        if kind != "matched":
            first, after = found.places_of(kind)
            bills += await limiter.run(
                limiter.reconciliations.items(found, first, min(after, first + RECONCILED_ITEMS_SHOWN))
            )
    matched = found.totals_of("matched")["bills"]
    left_out = end - matched - len(bills)
    return ReconciliationAnswer.with_bills(found, bills, left_out, language)


def _form_of(content_type: str | None) -> tuple[Literal["csv", "json"], str | None]:
    """Return the form of a list, and the charset where one is named. Raises `unsupported_media_type`."""
    kind, _, parameters = (content_type or "").lower().partition(";")
    charset: str | None = None
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' \t"'):
            charset = value.strip(' \t"')
    if kind.strip() == "text/csv" and (charset is None or charset_named(charset) is not None):
        return "csv", charset
    if kind.strip() == "application/json" and (charset is None or charset_named(charset) == "utf-8"):
        return "json", charset
    raise Problem(
        "unsupported_media_type",
        "Content-Type must be text/csv (charset utf-8, gb18030, gbk, gb2312, big5, utf-16 or one of their other names;"
        " without one it is detected) or application/json in UTF-8",
    )


def _refuse_by_length(content_length: str | None) -> None:
    """Raise `body_too_large` before a byte of the body is read."""
    if content_length is not None and content_length.isdigit() and int(content_length[:18]) > TILL_LIST_BYTES_MAX:
        raise Problem("body_too_large", f"A list may have {TILL_LIST_BYTES_MAX} bytes")


def _list_refused(refusal: TillListRefused) -> Problem:
    errors: list[dict[str, Any]] = [
        {"field": fault.place, "reason": fault.reason, "row": fault.row, "column": fault.column}
        for fault in refusal.faults
    ]
    first = refusal.faults[0]
    more = f" (and {refusal.count - 1} more)" if refusal.count > 1 else ""
    return Problem("malformed", f"{first.place}: {first.reason}{more}", errors=errors, errors_total=refusal.count)


def _refused(refusal: ReconcileRefused) -> Problem:
    if refusal.reason == "too_many":
        return Problem("too_many_redemptions", refusal.detail)
    if refusal.reason == "day_out_of_range":
        return malformed(refusal.detail, refusal.field)
    return Problem("not_found", refusal.detail)


ENDPOINTS: Final = (reconcile, list_reconciliations, read_reconciliation, list_bills, download_reconciliation)
