"""Agreements between businesses: listed, read, superseded."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.settlement import examples
from gateway.api.settlement.access import actor_name, caller, id_in_path, refused, seen_business
from gateway.api.settlement.limiter import SettlementLimiter
from gateway.api.settlement.operations import AGREEMENT_ID, BUSINESS, CURSOR, LIMIT, settlement_operation
from gateway.api.settlement.schemas import AgreementAdded, AgreementsAnswer, AgreementVersion
from gateway.http.body import read_json
from gateway.http.queries import Query, cursor_of
from gateway.http.responses import respond
from gateway.openapi.operation import Returns
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
from redemption.domain.limits import PAGE_ITEMS_MAX
from redemption.settlement.agreements import Added, AgreementRefused, add_agreement
from redemption.settlement.definitions import AgreementDefinition, AgreementId

_definition: Final = msgspec.json.Decoder(AgreementDefinition)


@settlement_operation(
    "listAgreements",
    "GET",
    "/v1/settlement/agreements",
    parameters=(
        BUSINESS,
        LIMIT,
        CURSOR,
    ),
    returns=(Returns("A page of versions.", AgreementsAnswer, examples.AGREEMENTS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def list_agreements(request: Request) -> Response:
    """Every version of every agreement, by id and number; a business sees those that can apply to it."""
    query = Query(request, "business", "limit", "cursor")
    business, limit, after = query.business(), query.limit(), query.cursor(tuple[str, int])
    limiter, who = await caller(request)
    page = await limiter.run(limiter.pages.agreements(seen_business(request, who, business), None, after, limit))
    last = (page.items[-1].agreement_id, page.items[-1].version) if page.items else None
    versions = [AgreementVersion.of(each) for each in page.items]
    return respond(AgreementsAnswer(versions, cursor_of(last, more=page.more)))


@settlement_operation(
    "listAgreementVersions",
    "GET",
    "/v1/settlement/agreements/{agreement_id}",
    parameters=(
        AGREEMENT_ID,
        CURSOR,
    ),
    returns=(Returns("A page of versions.", AgreementsAnswer, examples.AGREEMENTS),),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def read_agreement(request: Request) -> Response:
    """The versions of one agreement."""
    query = Query(request, "cursor")
    after = query.cursor(tuple[str, int])
    limiter, who = await caller(request)
    agreement_id = id_in_path(request, "agreement_id")
    page = await limiter.run(limiter.pages.agreements(who.business, agreement_id, after, PAGE_ITEMS_MAX))
    if not page.items:  # a cursor is only given where there are more
        raise Problem("not_found", "There is no such agreement, or it is between other businesses")
    last = (agreement_id, page.items[-1].version) if page.items else None
    versions = [AgreementVersion.of(each) for each in page.items]
    return respond(AgreementsAnswer(versions, cursor_of(last, more=page.more)))


@settlement_operation(
    "addAgreementVersion",
    "POST",
    "/v1/settlement/agreements/{agreement_id}/versions",
    parameters=(AGREEMENT_ID,),
    request=AgreementDefinition,
    request_examples=examples.DEFINITIONS,
    returns=(
        Returns("The same version was in force already; nothing was added.", AgreementAdded, examples.ADDED),
        Returns("Added.", AgreementAdded, examples.ADDED, 201),
    ),
    refusals=(*groups.BODY, *groups.SETTLEMENT_OF_GROUP, "agreement_conflict"),
)
async def add_version(request: Request) -> Response:
    """Adds an agreement, or supersedes it by a further version. For keys of the whole group.

    A version that is in force already is not added again (200), so repeating is safe. Closed periods never change.
    """
    definition, _, _ = await read_json(request, _definition)
    limiter, who = await caller(request)
    who.of_group()
    try:
        agreement_id = msgspec.convert(request.path_params["agreement_id"], AgreementId)
    except msgspec.ValidationError:
        raise malformed("is not an id: a letter, then up to 31 of a-z, 0-9, - and _", "agreement_id") from None
    result = await limiter.run(_add(limiter, agreement_id, definition, actor_name(who)), changes=True)
    if isinstance(result, AgreementRefused):
        raise refused(result)
    return respond(AgreementAdded(result.agreement_id, result.version), 201 if result.fresh else 200)


async def _add(
    limiter: SettlementLimiter, agreement_id: str, definition: AgreementDefinition, added_by: str
) -> Added | AgreementRefused:
    async with limiter.pool.acquire() as connection:
        return await add_agreement(connection, agreement_id, definition, added_by)


ENDPOINTS: Final = (list_agreements, read_agreement, add_version)
