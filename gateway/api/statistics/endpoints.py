"""/v1/ops: live figures for operations, over all workers. With a key that has the role `operations`; a key of one
business is told of that business's scans only."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_administrator
from gateway.api.state import State
from gateway.api.statistics import examples
from gateway.api.statistics.schemas import RefusalsAnswer, SeriesAnswer, SnapshotAnswer
from gateway.api.system.group import group_names
from gateway.http.event_streams import UNKNOWN_EVENT_ID, EventStream, ending, reset
from gateway.http.responses import answer
from gateway.live.notices import LocalizedNames, spoken
from gateway.live.stats_views import SERIES_COLUMNS, refusal_document, series_row, snapshot
from gateway.observability.stats_format import decode_sample
from gateway.openapi.operation import EVENT_STREAM, Returns, operation
from gateway.openapi.parameters import query, whole_number
from gateway.problems import groups
from gateway.problems.documents import Problem, language_of, malformed
from redemption.domain.clock import instant
from redemption.domain.limits import REFUSALS_KEPT_MAX, REFUSALS_PAGE_MAX
from redemption.ledger.streams import ValkeyAway

MINUTES_MAX: Final = 60
REFUSALS_DEFAULT: Final = 100
SECOND_TIMEOUT_SECONDS: Final = 5.0
CHUNK_ROWS: Final = 200


@operation(
    "getOperationsSnapshot",
    "GET",
    "/v1/ops/snapshot",
    "Operations",
    "back_office",
    role="operations",
    returns=(Returns("The figures.", SnapshotAnswer, examples.SNAPSHOT),),
    refusals=("malformed", *groups.KEY_OF_CALLER, "unavailable"),
)
async def read_snapshot(request: Request) -> Response:
    """How things stand, as of the last second."""
    state: State = request.app.state.tong
    caller = await counted_administrator(request)
    _parameters(request)
    names, figures = await _names(request), state.live.figures
    view = snapshot(
        figures.totals, figures.recent, caller.business, names, state.clock(), connected=state.hot.connected
    )
    return answer(200, orjson.dumps(view))


@operation(
    "getOperationsSeries",
    "GET",
    "/v1/ops/series",
    "Operations",
    "back_office",
    role="operations",
    parameters=(query("minutes", "How far back.", whole_number(60, 60), "10"),),
    returns=(Returns("The seconds.", SeriesAnswer, examples.SERIES),),
    refusals=("malformed", *groups.KEY_OF_CALLER),
)
async def read_series(request: Request) -> Response:
    """The last minutes, second by second."""
    state: State = request.app.state.tong
    minutes = _number(request, "minutes", MINUTES_MAX, MINUTES_MAX)
    caller = await counted_administrator(request)
    now = int(state.clock())
    since = now - 60 * minutes
    texts = [text for at, text in state.live.figures.samples if at > since]
    rows = []
    for index, text in enumerate(texts):
        rows.append(series_row(decode_sample(text), caller.business))
        if index % CHUNK_ROWS == CHUNK_ROWS - 1:
            await asyncio.sleep(0)  # an hour takes some 50 ms; scans come between
    return answer(
        200,
        orjson.dumps(
            {
                "from": instant(since * 1000),
                "to": instant(now * 1000),
                "step_seconds": 1,
                "columns": SERIES_COLUMNS,
                "rows": rows,
            }
        ),
    )


@operation(
    "listOperationsRefusals",
    "GET",
    "/v1/ops/refusals",
    "Operations",
    "back_office",
    role="operations",
    parameters=(query("limit", "How many.", whole_number(REFUSALS_PAGE_MAX, 100), "50"),),
    returns=(Returns("The refusals.", RefusalsAnswer, examples.REFUSALS),),
    refusals=("malformed", *groups.KEY_OF_CALLER, "unavailable"),
)
async def read_refusals(request: Request) -> Response:
    """What tills were refused last, newest first, over all workers."""
    state: State = request.app.state.tong
    limit = _number(request, "limit", REFUSALS_DEFAULT, REFUSALS_PAGE_MAX)
    caller = await counted_administrator(request)
    names = await _names(request)
    try:
        told = await state.live.stats_store.refusals(REFUSALS_KEPT_MAX if caller.business is not None else limit)
    except ValkeyAway:
        raise Problem("unavailable", "The last refusals cannot be read at this moment") from None
    documents = [refusal_document(each.text, names, caller.business) for each in told]
    return answer(200, orjson.dumps({"refusals": [each for each in documents if each is not None][:limit]}))


@operation(
    "streamOperationsEvents",
    "GET",
    "/v1/ops/events",
    "Operations",
    "back_office",
    role="operations",
    returns=(
        Returns(
            "Server-sent events: `snapshot` once a second, as the call of that name; `refusals`, the new ones; `end`.",
            None,
            examples.FIGURES,
            media_type=EVENT_STREAM,
        ),
    ),
    refusals=(*groups.KEY_OF_CALLER, *groups.STORE),
)
async def events(request: Request) -> Response:
    """The figures once a second, and what was refused meanwhile. Its events have no ids: a client that names one gets
    the event `reset` first."""
    state: State = request.app.state.tong
    authorization = request.headers.get("authorization")
    caller = await counted_administrator(request)
    names = await _names(request)
    if state.draining:
        raise Problem("unavailable", "This worker is about to stop; connect again")
    give_back = state.live.operations_seats.take(caller.key_id)
    knows = request.headers.get("last-event-id", "") != ""
    return EventStream(_told(state, caller.business, names, authorization, resumes=knows), give_back)


async def _told(
    state: State, scope: str | None, names: LocalizedNames, authorization: str | None, *, resumes: bool
) -> AsyncIterator[bytes]:
    if resumes:
        yield reset(UNKNOWN_EVENT_ID)
    told = await state.live.feed.newest_refusal()
    while True:
        if state.draining:
            yield ending("draining")
            return
        try:
            state.authenticator.administrator(authorization, "operations")
        except Problem:
            yield ending("revoked")
            return
        told, refusals = await state.live.feed.refusals_event(told, scope, names)
        yield state.live.feed.snapshot_event(scope, names) + refusals
        await state.live.figures.next_second(SECOND_TIMEOUT_SECONDS)


async def _names(request: Request) -> LocalizedNames:
    return spoken(await group_names(request), language_of(request.headers.get("accept-language")))


def _parameters(request: Request, *known: str) -> None:
    if request.query_params.keys() - set(known):
        raise malformed(f"this call takes {', '.join(known) or 'no parameters'}", "query")


def _number(request: Request, name: str, default: int, most: int) -> int:
    """A query parameter. Raises `malformed`."""
    _parameters(request, name)
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= number <= most:
        raise malformed(f"a whole number from 1 to {most}", name)
    return number


ENDPOINTS: Final = (read_snapshot, read_series, read_refusals, events)
