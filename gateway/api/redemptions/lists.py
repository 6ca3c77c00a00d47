"""Lists of redemptions for a till: of its own business, by filters or by the code of a member."""

import re
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import calling_terminal, counted_terminal
from gateway.api.redemptions import examples
from gateway.api.redemptions.schemas import ListedRedemption, RedemptionsAnswer
from gateway.api.state import State
from gateway.http.body import read_json
from gateway.http.queries import CURSOR_CHARACTERS_MAX, Query, cursor_of, place_of_cursor
from gateway.http.responses import respond
from gateway.openapi.operation import Returns, operation
from gateway.openapi.parameters import one_of, query, whole_number
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed, refused
from gateway.scans.examples import REFERENCE
from gateway.scans.input import ask_hot_store, code_use, read_code_unguessed
from redemption.domain.commands import REFERENCE_PATTERN, SearchRequest
from redemption.domain.limits import (
    BILL_REFERENCE_CHARACTERS_MAX,
    LISTED_DEFAULT,
    LISTED_MAX,
    REDEMPTION_RETENTION_SECONDS,
)
from redemption.domain.members import member_id
from redemption.domain.outcomes import Refusal
from redemption.domain.redemptions import STATUSES, Redemption
from redemption.ledger.reader import LedgerAway, Place, RedemptionFilter
from redemption.listing import Page

_search: Final = msgspec.json.Decoder(SearchRequest)
_reference: Final = re.compile(REFERENCE_PATTERN)
_FAR_FUTURE_MS: Final = 4_000_000_000_000
_BY_TIME, _BY_DEADLINE = "t", "d"
"""The order that a cursor is of; a cursor of one order is refused by the other."""


_DAY_OR_INSTANT: Final = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.+)?$", "maxLength": 40}
_REFERENCE: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": BILL_REFERENCE_CHARACTERS_MAX,
    "pattern": REFERENCE_PATTERN,
}
_OUTLET: Final = {"type": "string", "pattern": "^out_[a-z0-9_-]{1,40}$"}
_FILTERS: Final = (
    query("bill_reference", "The till's own number of the bill.", _REFERENCE, REFERENCE),
    query(
        "status",
        "Only of this status. `held`: open holds, in the order of their deadlines.",
        one_of(*STATUSES),
        "captured",
    ),
    query("outlet", "Scanned at this outlet.", _OUTLET, "out_hotel_lobby"),
    query(
        "from",
        "Scanned at this instant (RFC 3339) or later; a day begins in the outlet's time zone. At most 30 days ago.",
        _DAY_OR_INSTANT,
        "2026-11-22",
    ),
    query("to", "Scanned before this instant, or on this day at the latest.", _DAY_OR_INSTANT, "2026-11-22"),
    query(
        "cursor",
        "`next_cursor` of the page before.",
        {"type": "string", "maxLength": CURSOR_CHARACTERS_MAX},
        "WyJ0IiwxNzk1MzQ3OTc0MDAwLCJyZG1fMDE2aHdhNTRjd2R6OXpyOW12Il0",
    ),
    query("limit", "The most redemptions of a page.", whole_number(LISTED_MAX, LISTED_DEFAULT), "20"),
)


@operation(
    "listRedemptions",
    "GET",
    "/v1/redemptions",
    "Redemptions",
    "terminal",
    parameters=_FILTERS,
    returns=(Returns("A page; the list is empty where there are none.", RedemptionsAnswer, examples.LISTED),),
    refusals=("malformed", *groups.KEY_OF_CALLER, *groups.STORE),
)
async def list_redemptions(request: Request) -> Response:
    """The redemptions of this business as they are now, newest first; with `status=held` the open holds, by deadline.

    A page may hold fewer than `limit` and still have a `next_cursor`. Redemptions are listed for 30 days.
    """
    state: State = request.app.state.tong
    query = Query(request, "bill_reference", "status", "outlet", "from", "to", "cursor", "limit")
    reference = _bill_reference(query)
    status = query.one_of("status", STATUSES, None)
    outlet = query.text("outlet", "out_[a-z0-9_-]{1,40}", "the id of an outlet")
    limit = query.limit(LISTED_DEFAULT, LISTED_MAX)
    place = query.cursor(tuple[str, int, str])
    terminal = await counted_terminal(request)
    begin, end = query.start("from", terminal.time_zone), query.end("to", terminal.time_zone)
    if begin is not None and end is not None and end <= begin:
        raise malformed("is not after from", "to")
    wanted = RedemptionFilter(
        terminal.business.business_id,
        max(_milliseconds(begin, 0), _oldest_ms(state)),
        _milliseconds(end, _FAR_FUTURE_MS),
        status,
        outlet,
        reference,
    )
    return await _page(state, wanted, place, limit)


@operation(
    "searchRedemptions",
    "POST",
    "/v1/redemptions/search",
    "Redemptions",
    "terminal",
    scopes=("redeem", "hold", "refund"),
    request=SearchRequest,
    request_examples=examples.SEARCH,
    returns=(Returns("A page; the list is empty where there are none.", RedemptionsAnswer, examples.LISTED),),
    refusals=(
        *groups.BODY,
        *groups.KEY_OF_CALLER,
        *groups.STORE,
        *groups.SCANNED,
        "code_expired",
        "code_used",
        "code_revoked",
    ),
)
async def search_redemptions(request: Request) -> Response:
    """The redemptions of this business for the member whose code was scanned, newest first. The code is not used up."""
    state: State = request.app.state.tong
    wanted, _, body = await read_json(request, _search)
    place = place_of_cursor(wanted.cursor, tuple[str, int, str])
    terminal = calling_terminal(request, body)
    claim = await read_code_unguessed(state.redemptions, terminal, state.reader, wanted.code, state.clock())
    member = await ask_hot_store(state.memberships.find_by_code(terminal, code_use(claim)), changes=False)
    if isinstance(member, Refusal):
        raise refused(member)
    found = RedemptionFilter(
        terminal.business.business_id, _oldest_ms(state), _FAR_FUTURE_MS, member_id=member_id(claim.member_number)
    )
    return await _page(state, found, place, wanted.limit or LISTED_DEFAULT)


async def _page(state: State, wanted: RedemptionFilter, place: tuple[str, int, str] | None, limit: int) -> Response:
    order = _BY_DEADLINE if wanted.by_deadline else _BY_TIME
    after = None
    if place is not None:
        if place[0] != order or not 0 <= place[1] <= _FAR_FUTURE_MS:
            raise malformed("is not a valid cursor for this list", "cursor")
        after = Place(place[1], place[2])

    async def find(redemption_id: str, business_id: str) -> Redemption | None:
        return await ask_hot_store(state.redemptions.find(redemption_id, business_id), changes=False)

    try:
        page: Page = await state.lists.page(wanted, after, limit, round(state.clock() * 1000), find)
    except LedgerAway:
        raise Problem("unavailable", "The ledger cannot be reached; a redemption can be read by its id") from None
    following = page.next_place
    cursor = None if following is None else cursor_of((order, following.at_ms, following.redemption_id), more=True)
    return respond(RedemptionsAnswer(tuple(ListedRedemption.of_item(item) for item in page.items), cursor))


def _bill_reference(query: Query) -> str | None:
    value = query.text("bill_reference", "(?s:.*)", "text")
    if value is None or (1 <= len(value) <= BILL_REFERENCE_CHARACTERS_MAX and _reference.fullmatch(value)):
        return value
    raise malformed(
        f"is not 1 to {BILL_REFERENCE_CHARACTERS_MAX} visible ASCII characters, as the bill had it", "bill_reference"
    )


def _oldest_ms(state: State) -> int:
    """Return since when the hot store keeps redemptions, Unix milliseconds."""
    return round((state.clock() - REDEMPTION_RETENTION_SECONDS) * 1000)


def _milliseconds(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None else max(0, min(round(seconds * 1000), _FAR_FUTURE_MS))


ENDPOINTS: Final = (list_redemptions, search_redemptions)
