"""/v1/ops: live figures for operations, over all workers, for keys with the role `operations`.

A key of one business sees the scans of that business only.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_administrator
from gateway.api.names import LocalizedNames, localized_names
from gateway.api.state import State
from gateway.api.statistics import examples
from gateway.api.statistics.history_schemas import LastRefusal, RefusalsAnswer, SeriesAnswer, series_row
from gateway.api.statistics.schemas import SnapshotAnswer
from gateway.http.event_streams import UNKNOWN_EVENT_ID, EventStream, ending, reset
from gateway.http.responses import respond
from gateway.observability.stats_format import decode_sample
from gateway.openapi.operation import EVENT_STREAM, Returns, operation
from gateway.openapi.parameters import query, whole_number
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
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
    """The state of the installation as of the last second."""
    state: State = request.app.state.tong
    caller = await counted_administrator(request)
    _parameters(request)
    names, figures = await localized_names(state.names, request.headers.get("accept-language")), state.live.figures
    return respond(
        SnapshotAnswer.of(
            figures.totals, figures.recent, caller.business, names, state.clock(), connected=state.hot.connected
        )
    )


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
    return respond(SeriesAnswer.of(rows, since, now))


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
    """The last refusals of tills, newest first, over all workers."""
    state: State = request.app.state.tong
    limit = _number(request, "limit", REFUSALS_DEFAULT, REFUSALS_PAGE_MAX)
    caller = await counted_administrator(request)
    names = await localized_names(state.names, request.headers.get("accept-language"))
    try:
        entries = await state.live.stats_store.refusals(REFUSALS_KEPT_MAX if caller.business is not None else limit)
    except ValkeyAway:
        raise Problem("unavailable", "The last refusals cannot be read at this moment") from None
    built = [LastRefusal.of(each.text, names, caller.business) for each in entries]
    return respond(RefusalsAnswer(tuple(each for each in built if each is not None)[:limit]))


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
    """The figures once a second, and the refusals in between. Its events have no ids: a client that names one gets
    the event `reset` first."""
    state: State = request.app.state.tong
    authorization = request.headers.get("authorization")
    caller = await counted_administrator(request)
    names = await localized_names(state.names, request.headers.get("accept-language"))
    if state.draining:
        raise Problem("unavailable", "This worker is about to stop; connect again")
    give_back = state.live.operations_seats.take(caller.key_id)
    knows = request.headers.get("last-event-id", "") != ""
    return EventStream(_operations_events(state, caller.business, names, authorization, resumes=knows), give_back)


async def _operations_events(
    state: State, scope: str | None, names: LocalizedNames, authorization: str | None, *, resumes: bool
) -> AsyncIterator[bytes]:
    """Yield the events of one page until the worker drains or the key is revoked."""
    if resumes:
        yield reset(UNKNOWN_EVENT_ID)
    place = await state.feed.newest_refusal()
    while True:
        if state.draining:
            yield ending("draining")
            return
        try:
            state.authenticator.administrator(authorization, "operations")
        except Problem:
            yield ending("revoked")
            return
        place, refusals = await state.feed.refusals_event(place, scope, names)
        yield state.feed.snapshot_event(scope, names) + refusals
        await state.live.figures.next_second(SECOND_TIMEOUT_SECONDS)


def _parameters(request: Request, *known: str) -> None:
    if request.query_params.keys() - set(known):
        raise malformed(f"this call takes {', '.join(known) or 'no parameters'}", "query")


def _number(request: Request, name: str, default: int, most: int) -> int:
    """Return a query parameter. Raises `malformed`."""
    _parameters(request, name)
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= number <= most:
        raise malformed(f"is not a whole number from 1 to {most}", name)
    return number


ENDPOINTS: Final = (read_snapshot, read_series, read_refusals, events)
