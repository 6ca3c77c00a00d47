"""Disputes on a line, and the uses that have no line yet."""

import datetime
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.settlement import examples
from gateway.api.settlement.access import (
    actor_name,
    caller,
    id_in_path,
    known_business,
    refused,
    seen_business,
)
from gateway.api.settlement.dispute_schemas import (
    DisputeAnswer,
    DisputeRequest,
    DisputesAnswer,
    ExceptionAnswer,
    ExceptionsAnswer,
    ResolveRequest,
)
from gateway.api.settlement.limiter import SettlementLimiter
from gateway.api.settlement.operations import BUSINESS, CURSOR, DISPUTE_ID, LIMIT, LINE_ID, settlement_operation
from gateway.auth.authentication import Administrator
from gateway.http.body import read_json
from gateway.http.queries import Query, cursor_of
from gateway.http.responses import respond
from gateway.openapi.operation import Returns
from gateway.openapi.parameters import one_of, query
from gateway.problems import groups
from gateway.problems.documents import Problem
from redemption.settlement.browsing import DisputeOfLine
from redemption.settlement.disputes import DisputeRefused

_dispute: Final = msgspec.json.Decoder(DisputeRequest)
_resolve: Final = msgspec.json.Decoder(ResolveRequest)
_RESOLVED: Final[dict[str, bool | None]] = {"open": False, "resolved": True, "all": None}


@settlement_operation(
    "listSettlementExceptions",
    "GET",
    "/v1/settlement/exceptions",
    parameters=(
        BUSINESS,
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of uses.", ExceptionsAnswer, examples.EXCEPTIONS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_exceptions(request: Request) -> Response:
    """The uses that have no line yet, and why, oldest first. They are tried again when an agreement is added."""
    query = Query(request, "business", "limit", "cursor")
    business, limit, after = query.business(), query.limit(), query.cursor(tuple[datetime.datetime, str])
    limiter, who = await caller(request)
    page = await limiter.run(limiter.pages.exceptions(seen_business(request, who, business), after, limit))
    last = (page.items[-1].use.occurred_at, page.items[-1].use.line_id) if page.items else None
    found = [ExceptionAnswer.of(each) for each in page.items]
    return respond(ExceptionsAnswer(found, cursor_of(last, more=page.more)))


@settlement_operation(
    "listDisputes",
    "GET",
    "/v1/settlement/disputes",
    parameters=(
        query("status", "Absent: open.", one_of("open", "resolved", "all"), "open"),
        BUSINESS,
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of disputes.", DisputesAnswer, {"disputes": [examples.OPENED], "next_cursor": None}),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_disputes(request: Request) -> Response:
    """Disputes, oldest first; `status` is open (the default), resolved or all."""
    query = Query(request, "status", "business", "limit", "cursor")
    resolved = _RESOLVED[query.one_of("status", tuple(_RESOLVED), "open")]
    business, limit, after = query.business(), query.limit(), query.cursor(tuple[datetime.datetime, str])
    limiter, who = await caller(request)
    page = await limiter.run(limiter.pages.disputes(seen_business(request, who, business), resolved, after, limit))
    last = (page.items[-1].dispute.opened_at, page.items[-1].dispute.dispute_id) if page.items else None
    return respond(DisputesAnswer([DisputeAnswer.of(each) for each in page.items], cursor_of(last, more=page.more)))


@settlement_operation(
    "getDispute",
    "GET",
    "/v1/settlement/disputes/{dispute_id}",
    parameters=(DISPUTE_ID,),
    returns=(Returns("The dispute.", DisputeAnswer, examples.OPENED),),
    refusals=groups.SETTLEMENT,
)
async def read_dispute(request: Request) -> Response:
    """One dispute."""
    limiter, who = await caller(request)
    return respond(DisputeAnswer.of(await _seen(limiter, who, id_in_path(request, "dispute_id"))))


@settlement_operation(
    "openDispute",
    "POST",
    "/v1/settlement/lines/{line_id}/disputes",
    parameters=(LINE_ID,),
    request=DisputeRequest,
    request_examples=examples.DISPUTE,
    returns=(Returns("The open dispute, opened by this call or an earlier one.", DisputeAnswer, examples.OPENED, 201),),
    refusals=(*groups.BODY, *groups.SETTLEMENT, "own_use", "already_disputed"),
)
async def open_dispute(request: Request) -> Response:
    """One side of a line says that it is wrong. Its period cannot be approved until that is resolved.

    A line has at most one open dispute: the same request again returns it.
    """
    wanted, _, _ = await read_json(request, _dispute)
    limiter, who = await caller(request)
    business = known_business(request, who.acts_for(wanted.business, "business"))
    line_id = id_in_path(request, "line_id")
    sides = await limiter.run(limiter.pages.sides_of_line(line_id))
    if sides is None or not who.sees(*sides):
        raise Problem("not_found", "There is no such line, or it is between other businesses")
    result = await limiter.run(limiter.disputes.open(line_id, business, wanted.reason, actor_name(who)), changes=True)
    if isinstance(result, DisputeRefused):
        raise refused(result)
    return respond(DisputeAnswer.of(DisputeOfLine(result, *sides)), 201)


@settlement_operation(
    "resolveDispute",
    "POST",
    "/v1/settlement/disputes/{dispute_id}/resolve",
    parameters=(DISPUTE_ID,),
    request=ResolveRequest,
    request_examples=examples.RESOLVE,
    returns=(Returns("The dispute.", DisputeAnswer, examples.RESOLVED),),
    refusals=(*groups.BODY, *groups.SETTLEMENT, "already_resolved"),
)
async def resolve_dispute(request: Request) -> Response:
    """Ends a dispute: with the amount that both sides agree on, by a correcting line in an open month; or without a
    change of the line.

    An amount is recorded by a key of the whole group. A key of one business can only withdraw the dispute that its
    business raised. Repeating it returns the same answer.
    """
    wanted, _, _ = await read_json(request, _resolve)
    limiter, who = await caller(request)
    found = await _seen(limiter, who, id_in_path(request, "dispute_id"))
    if who.business is not None and (wanted.amount_minor is not None or who.business != found.dispute.raised_by):
        raise Problem(
            "forbidden",
            "A key of one business can withdraw the dispute that its business raised (without amount_minor); what both "
            "sides agree on is recorded by a key of the whole group",
        )
    result = await limiter.run(
        limiter.disputes.resolve(found.dispute.dispute_id, wanted.amount_minor, wanted.note, actor_name(who)),
        changes=True,
    )
    if isinstance(result, DisputeRefused):
        raise refused(result)
    return respond(DisputeAnswer.of(DisputeOfLine(result, found.issuer, found.acceptor)))


async def _seen(limiter: SettlementLimiter, who: Administrator, dispute_id: str) -> DisputeOfLine:
    found = await limiter.run(limiter.pages.dispute(dispute_id))
    if found is None or not who.sees(found.issuer, found.acceptor):
        raise Problem("not_found", "There is no such dispute, or it is between other businesses")
    return found


ENDPOINTS: Final = (list_exceptions, list_disputes, read_dispute, open_dispute, resolve_dispute)
