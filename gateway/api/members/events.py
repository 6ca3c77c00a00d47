"""GET /v1/me/events and /v1/me/activity: a member's own movements, while they happen and afterwards."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import count_member, counted_member
from gateway.api.members import examples
from gateway.api.members.activity_schemas import ActivityAnswer, ActivityEntry, Notice, NoticeBalance, StreamReady
from gateway.api.names import LocalizedNames, localized_names
from gateway.api.state import State
from gateway.auth.authentication import member_and_expiry
from gateway.http.event_streams import TOO_MANY_MISSED, UNKNOWN_EVENT_ID, EventStream, ending, event, reset
from gateway.http.responses import respond
from gateway.live.event_ids import cursor_from, cursor_text, position_from, position_text
from gateway.openapi.operation import EVENT_STREAM, Parameter, Returns, operation
from gateway.openapi.parameters import query, whole_number
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
from redemption.domain.clock import instant
from redemption.domain.limits import ACTIVITY_PAGE_DEFAULT, ACTIVITY_PAGE_MAX, NOTICES_MISSED_MAX
from redemption.domain.members import bucket_of, member_id
from redemption.hot.faults import HotStoreFault
from redemption.ledger.entries import Entry, Position, decode_entry
from redemption.ledger.reader import LedgerAway
from redemption.ledger.streams import ValkeyAway
from redemption.live.history import FIRST_PAGE, Cursor
from redemption.live.movements import Movement, movement_of_entry
from redemption.live.tail import Item, Listener
from redemption.memberships import MemberState

TAKE_SECONDS: Final = 300.0


@operation(
    "streamMemberEvents",
    "GET",
    "/v1/me/events",
    "Member app",
    "member",
    parameters=(
        Parameter(
            "Last-Event-ID",
            "header",
            "`id` of the last event that was seen: the events since then come first, each exactly once. "
            "Any other text gets the event `reset`, then the stream.",
            {"type": "string"},
            "1795316645678-0",
            required=False,
        ),
    ),
    returns=(
        Returns(
            "Server-sent events until the access token ends: `ready` (the balance now), `notice` (an entry of the "
            "activity with the `balance` after it), `reset` (too much was missed: read the activity), `end` (why "
            "the server ends the stream). A comment every 15 s keeps it open.",
            None,
            examples.NOTICES,
            media_type=EVENT_STREAM,
        ),
    ),
    refusals=("malformed", *groups.MEMBER, *groups.STORE),
)
async def events(request: Request) -> Response:
    """Live notices of the member's own redemptions, holds, captures, refunds, reversals, accruals and expiry: what was
    taken, where, and what is left. With `Last-Event-ID` the missed notices come first; an id of another stream, or one
    too far back, gets the event `reset`."""
    state: State = request.app.state.tong
    number, expires_at = await member_and_expiry(request.headers.get("authorization"), state.members)
    given = request.headers.get("last-event-id", "")
    since = position_from(given) if given else None
    if state.draining:
        raise Problem("unavailable", "This worker is about to stop; connect again")
    await count_member(state, number)
    give_back = state.live.member_seats.take(number)
    listener: Listener | None = None
    try:
        names = await localized_names(state.names, request.headers.get("accept-language"))
        bucket = bucket_of(number, state.settings.buckets)
        listener = await state.live.tail.listen(bucket, member_id(number))
        missed: list[Movement] | str = []
        if since is not None:
            missed = await _missed(state, listener, number, since)
        elif given:  # a browser sends it again with every attempt: a refusal would keep it away for ever
            missed = UNKNOWN_EVENT_ID
    except BaseException as fault:
        if listener is not None:
            state.live.tail.leave(listener)
        give_back()
        if isinstance(fault, ValkeyAway | LedgerAway):
            raise Problem("unavailable", "Notices cannot be read at this moment") from None
        raise
    heard = listener

    def done() -> None:
        state.live.tail.leave(heard)
        give_back()

    return EventStream(_member_events(state, number, heard, missed, names, expires_at), done)


async def _member_events(
    state: State,
    number: int,
    listener: Listener,
    missed: list[Movement] | str,
    names: LocalizedNames,
    expires_at: float,
) -> AsyncIterator[bytes]:
    """Yield the events of one page: notices it missed or `reset`, then `ready`, then notices as they come."""
    member = await _member(state, number)
    catalogue = state.configuration.current.benefits
    if isinstance(missed, str):
        yield reset(missed)
    elif missed:
        yield b"".join(
            _notice_event(Notice.with_balance(each, member, names, catalogue, missed=True)) for each in missed
        )
    left = None if member is None else NoticeBalance.after(member, names)
    yield event("ready", StreamReady(instant(round(state.clock() * 1000)), left), position_text(listener.after))
    while True:
        left_seconds = expires_at - state.clock()
        if left_seconds <= 0:
            yield ending("token_expired")
            return
        movements = _movements(await listener.take(min(left_seconds, TAKE_SECONDS)))
        if movements:
            member = await _member(state, number)
            catalogue = state.configuration.current.benefits
            yield b"".join(_notice_event(Notice.with_balance(each, member, names, catalogue)) for each in movements)
        if listener.ended is not None:
            yield ending(listener.ended)
            return


async def _missed(state: State, listener: Listener, number: int, since: Position) -> list[Movement] | str:
    """Return the movements after `since` and before the listener began, or the reason of a `reset`.

    The stream first, then PostgreSQL: what the writer trims in between is in PostgreSQL by then.
    """
    if since >= listener.after:
        return []
    whose = member_id(number)
    kept = await state.live.tail.kept(listener.bucket, whose, since, listener.after)
    if kept is None:
        return TOO_MANY_MISSED
    found = {each.position: each for each in _movements(kept)}
    for each in await state.live.history.after(whose, since, NOTICES_MISSED_MAX + 1):
        if each.position <= listener.after:
            found[each.position] = each
    return [found[position] for position in sorted(found)] if len(found) <= NOTICES_MISSED_MAX else TOO_MANY_MISSED


def _movements(items: list[Item]) -> list[Movement]:
    """Return the entries that can be read. The ledger writer counts the others as dead letters."""
    decoded = [(position, decode_entry(fields)) for position, fields in items]
    return [movement_of_entry(position, entry) for position, entry in decoded if isinstance(entry, Entry)]


def _notice_event(notice: Notice) -> bytes:
    return event("notice", notice, notice.event_id)


async def _member(state: State, number: int) -> MemberState | None:
    """Return the member as of now; None where the hot store does not answer, so that no notice waits for it."""
    try:
        return await state.memberships.find(number)
    except (HotStoreFault, TimeoutError):
        return None


@operation(
    "listMemberActivity",
    "GET",
    "/v1/me/activity",
    "Member app",
    "member",
    parameters=(
        query("limit", "Movements of a page.", whole_number(ACTIVITY_PAGE_MAX, ACTIVITY_PAGE_DEFAULT), "20"),
        query(
            "cursor",
            "`next_cursor` of the page before.",
            {"type": "string", "maxLength": 80},
            "MTc5NTMxNjY0NTY3OC0xNzk1MzE2NjQ1Njc4LTA",
        ),
    ),
    returns=(Returns("A page, newest first.", ActivityAnswer, examples.ACTIVITY),),
    refusals=("malformed", *groups.MEMBER, "unavailable"),
)
async def activity(request: Request) -> Response:
    """The member's history, newest first, each movement explained. It is read from the ledger, which is a moment
    behind: everything up to `as_of` is in it."""
    state: State = request.app.state.tong
    limit, before = _page(request)
    number = await counted_member(request)
    names = await localized_names(state.names, request.headers.get("accept-language"))
    bucket = bucket_of(number, state.settings.buckets)
    try:
        asked_at = round(state.clock() * 1000)
        last = await _last(state, bucket)
        watermark = await state.live.history.watermark(bucket)
        entries, following = await state.live.history.page(member_id(number), before, limit)
    except LedgerAway:
        raise Problem("unavailable", "The ledger cannot be reached") from None
    as_of = asked_at if last is not None and last <= watermark else watermark.ms
    return respond(
        ActivityAnswer(
            as_of=instant(as_of),
            activity=tuple(ActivityEntry.of_entry(each, names) for each in entries),
            next_cursor=cursor_text(following) if following is not None else None,
        )
    )


async def _last(state: State, bucket: int) -> Position | None:
    """Return the position of the bucket's newest entry; None where the hot store does not answer."""
    try:
        return await state.live.tail.last(bucket)
    except ValkeyAway:
        return None


def _page(request: Request) -> tuple[int, Cursor]:
    """Return size and beginning of the page that is asked for. Raises `malformed`."""
    unknown = request.query_params.keys() - {"limit", "cursor"}
    if unknown:
        raise malformed("this call takes only limit and cursor", "query")
    limit_text = request.query_params.get("limit", str(ACTIVITY_PAGE_DEFAULT))
    limit = int(limit_text) if limit_text.isascii() and limit_text.isdecimal() and len(limit_text) <= 3 else 0
    if not 1 <= limit <= ACTIVITY_PAGE_MAX:
        raise malformed(f"is not a whole number from 1 to {ACTIVITY_PAGE_MAX}", "limit")
    text = request.query_params.get("cursor")
    if text is None:
        return limit, FIRST_PAGE
    before = cursor_from(text)
    if before is None:
        raise malformed("is not a valid cursor for this list", "cursor")
    return limit, before


ENDPOINTS: Final = (events, activity)
