"""Months and periods: listed, closed, approved by both sides, paid; their lines, and the file that is hashed."""

import datetime
import hashlib
import tempfile
from contextlib import ExitStack
from typing import IO, Final, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.settlement import examples
from gateway.api.settlement.access import (
    actor_name,
    caller,
    known_business,
    refused,
    seen_business,
    seen_period,
)
from gateway.api.settlement.operations import BUSINESS, COUNTERPARTY, CURSOR, LIMIT, MONTH, PERIOD, settlement_operation
from gateway.api.settlement.schemas import (
    ApproveRequest,
    CloseRequest,
    LineAnswer,
    LinesAnswer,
    MonthClosed,
    NetsAnswer,
    PayRequest,
    PeriodAnswer,
    PeriodsAnswer,
)
from gateway.http.body import read_json
from gateway.http.files import FileAnswer, not_modified
from gateway.http.queries import Query, cursor_of, month_of_text
from gateway.http.responses import respond
from gateway.openapi.operation import Parameter, Returns
from gateway.openapi.parameters import one_of, query
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
from gateway.scans.schemas import month_text
from redemption.settlement.browsing import PeriodFilter
from redemption.settlement.periods import CLOSE_SECONDS, Period, PeriodRefused, Status

SETTLED_SECONDS: Final = 20.0
"""How long a close waits for the ledger to be settled."""
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_SPOOLED_BYTES: Final = 1024 * 1024

_close: Final = msgspec.json.Decoder(CloseRequest)
_approve: Final = msgspec.json.Decoder(ApproveRequest)
_pay: Final = msgspec.json.Decoder(PayRequest)


@settlement_operation(
    "listPeriods",
    "GET",
    "/v1/settlement/periods",
    parameters=(
        query("month", "Only of this month.", MONTH, "2026-11"),
        query("status", "Only in this state.", one_of("open", "closed", "approved", "paid"), "closed"),
        BUSINESS,
        COUNTERPARTY,
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of periods.", PeriodsAnswer, examples.PERIODS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_periods(request: Request) -> Response:
    """The periods of pairs of businesses, open and closed, newest month first."""
    query = Query(request, "month", "status", "business", "counterparty", "limit", "cursor")
    month, business, counterparty = query.month(), query.business(), query.business("counterparty")
    status = query.one_of("status", _STATUSES, None)
    limit, after = query.limit(), query.cursor(tuple[int, str, str])
    limiter, who = await caller(request)
    wanted = PeriodFilter(month, seen_business(request, who, business), counterparty, status)
    page = await limiter.run(limiter.pages.periods(wanted, after, limit))
    last = (page.items[-1].month, page.items[-1].party_low, page.items[-1].party_high) if page.items else None
    return respond(PeriodsAnswer([PeriodAnswer.of(each) for each in page.items], cursor_of(last, more=page.more)))


@settlement_operation(
    "getPeriod",
    "GET",
    "/v1/settlement/periods/{period}",
    parameters=(PERIOD,),
    returns=(Returns("The period.", PeriodAnswer, examples.PERIOD),),
    refusals=groups.SETTLEMENT,
)
async def read_period(request: Request) -> Response:
    """One period by its id; a closed one also by its number or its SHA-256."""
    limiter, who = await caller(request)
    return respond(PeriodAnswer.of(await seen_period(limiter, who, request.path_params["period"])))


@settlement_operation(
    "closeMonth",
    "POST",
    "/v1/settlement/months/{month}/close",
    parameters=(Parameter("month", "path", "The month.", MONTH, "2026-11"),),
    request=CloseRequest,
    request_required=False,
    request_examples={"nothing": {}},
    returns=(Returns("The closed month, closed by this call or an earlier one.", MonthClosed, examples.MONTH_CLOSED),),
    refusals=(*groups.BODY, *groups.SETTLEMENT_OF_GROUP, "month_not_over", "earlier_month_open", "period_altered"),
)
async def close_month(request: Request) -> Response:
    """Closes a month for the whole group: its lines are frozen, each pair's period is numbered and hashed.

    For keys of the whole group. Waits until the whole ledger is settled. For a closed month the answer is the same
    again, after every hash was computed anew from the lines.
    """
    await read_json(request, _close, optional=True)
    month = month_of_text(request.path_params["month"], "month")
    limiter, who = await caller(request)
    who.of_group()
    if not await limiter.run(limiter.pages.caught_up(SETTLED_SECONDS), seconds=2 * SETTLED_SECONDS):
        raise Problem(
            "unavailable", "Settlement is behind the ledger, nothing was closed: `tong settle run` catches up"
        )
    result = await limiter.run(limiter.periods.close(month, actor_name(who)), changes=True, seconds=CLOSE_SECONDS)
    if isinstance(result, PeriodRefused):
        raise refused(result)
    lines = sum(period.lines for period in result.periods)
    return respond(MonthClosed(month_text(month), len(result.periods), lines, result.exceptions))


@settlement_operation(
    "approvePeriod",
    "POST",
    "/v1/settlement/periods/{period}/approve",
    parameters=(PERIOD,),
    request=ApproveRequest,
    request_required=False,
    request_examples=examples.APPROVE,
    returns=(Returns("The period.", PeriodAnswer, examples.PERIOD),),
    refusals=(*groups.BODY, *groups.SETTLEMENT, "period_not_closed", "period_disputed", "own_use"),
)
async def approve_period(request: Request) -> Response:
    """Records the consent of one side to a closed period. Repeating it changes nothing."""
    wanted, _, _ = await read_json(request, _approve, optional=True)
    limiter, who = await caller(request)
    business = known_business(request, who.acts_for(wanted.business, "business"))
    period = await seen_period(limiter, who, request.path_params["period"])
    result = await limiter.run(limiter.periods.approve(period.period_id, business, actor_name(who)), changes=True)
    return _period_response(result)


@settlement_operation(
    "payPeriod",
    "POST",
    "/v1/settlement/periods/{period}/pay",
    parameters=(PERIOD,),
    request=PayRequest,
    request_examples=examples.PAY,
    returns=(Returns("The period.", PeriodAnswer, examples.PERIOD),),
    refusals=(*groups.BODY, *groups.SETTLEMENT, "period_not_closed", "period_not_approved", "period_paid", "own_use"),
)
async def pay_period(request: Request) -> Response:
    """Records that an approved period was paid, with the bank's reference. Repeating it changes nothing."""
    wanted, _, _ = await read_json(request, _pay)
    limiter, who = await caller(request)
    period = await seen_period(limiter, who, request.path_params["period"])
    if period.party_low == period.party_high:
        raise Problem("own_use", "A business's own use: nothing is owed")
    return _period_response(
        await limiter.run(limiter.periods.pay(period.period_id, wanted.reference, actor_name(who)), changes=True)
    )


def _period_response(result: Period | PeriodRefused) -> Response:
    if isinstance(result, PeriodRefused):
        raise refused(result)
    return respond(PeriodAnswer.of(result))


@settlement_operation(
    "listPeriodLines",
    "GET",
    "/v1/settlement/periods/{period}/lines",
    parameters=(
        PERIOD,
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of lines.", LinesAnswer, examples.LINES),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_lines(request: Request) -> Response:
    """The lines of a period, in the order that its hash takes them."""
    query = Query(request, "limit", "cursor")
    limit, after = query.limit(), query.cursor(tuple[datetime.datetime, str])
    limiter, who = await caller(request)
    period = await seen_period(limiter, who, request.path_params["period"])
    page = await limiter.run(limiter.pages.lines(period, after, limit))
    last = (page.items[-1].occurred_at, page.items[-1].line_id) if page.items else None
    return respond(LinesAnswer([LineAnswer.of(each) for each in page.items], cursor_of(last, more=page.more)))


@settlement_operation(
    "exportPeriod",
    "GET",
    "/v1/settlement/periods/{period}/export",
    parameters=(PERIOD,),
    returns=(
        Returns(
            "The canonical lines.",
            None,
            examples.EXPORT,
            media_type="text/plain; charset=utf-8",
            headers=("ETag", "Content-Disposition"),
        ),
    ),
    refusals=(*groups.SETTLEMENT, "period_not_closed", "period_altered"),
)
async def export_period(request: Request) -> Response:
    """The lines of a closed period exactly as its SHA-256 takes them: fields separated by tabs, one line each.

    The ETag is that hash. It is computed anew while the file is made; where it differs, the answer is a problem.
    """
    limiter, who = await caller(request)
    period = await seen_period(limiter, who, request.path_params["period"])
    if period.sha256 is None:
        raise Problem("period_not_closed", f"{period.period_id} is still open: its lines are at /lines")
    if not_modified(request, period.sha256):
        return Response(status_code=304, headers={"etag": f'"{period.sha256}"', "cache-control": "no-cache"})
    with ExitStack() as stack:
        stack.enter_context(limiter.transfer())
        file: IO[bytes] = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED_BYTES))
        digest = hashlib.sha256()

        async def take(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        await limiter.run(limiter.periods.export(period, take), seconds=CLOSE_SECONDS)
        if digest.hexdigest() != period.sha256:
            raise Problem("period_altered", f"Closed with {period.sha256}, its lines now give {digest.hexdigest()}")
        # Text, not .tsv: the bytes are those of the hash, so nothing in them can be guarded from a spreadsheet.
        name = f"tong-{period.period_id}-{period.number}.txt".replace("_", "-")
        return FileAnswer(file, "text/plain; charset=utf-8", name, period.sha256, stack.pop_all())


@settlement_operation(
    "listNets",
    "GET",
    "/v1/settlement/nets",
    parameters=(
        query("month", "The month.", MONTH, "2026-11", required=True),
        BUSINESS,
    ),
    returns=(Returns("Who pays whom.", NetsAnswer, examples.NETS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def read_nets(request: Request) -> Response:
    """Lists who pays whom in a month: by pair, over all pairs, and as few transfers as settle everything.

    A key of one business sees payments of which it is a side. An open month is provisional: as of now.
    """
    query = Query(request, "month", "business")
    month, business = query.month(), query.business()
    if month is None:
        raise malformed("is missing", "month")
    limiter, who = await caller(request)
    seen = seen_business(request, who, business)
    periods = await limiter.run(limiter.periods.listed(month))
    totals = [total for period in periods for total in period.totals]
    provisional = not periods or any(period.status == "open" for period in periods)
    return respond(NetsAnswer.of(month, provisional=provisional, totals=totals, business=seen))


ENDPOINTS: Final = (
    list_periods,
    read_period,
    list_lines,
    export_period,
    approve_period,
    pay_period,
    close_month,
    read_nets,
)
