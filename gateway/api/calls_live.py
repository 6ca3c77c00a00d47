"""The rows of gateway/api/calls.py for live pages: a member's notices, history and devices, and figures for
operations."""

from typing import Any, Final

from gateway.api import examples_live as examples
from gateway.api.members import live_schemas as wire_live
from gateway.api.statistics import schemas as wire_ops
from gateway.openapi.operation import Answer, Call, Parameter
from redemption.domain.limits import ACTIVITY_PAGE_DEFAULT, ACTIVITY_PAGE_MAX, REFUSALS_PAGE_MAX

_MEMBER: Final = "Member app"
_OPERATIONS: Final = "Operations"
_STREAM: Final = "text/event-stream; charset=utf-8"
_BODY: Final = ("body_too_large", "unsupported_media_type", "malformed")
_KEY: Final = ("unauthenticated", "terminal_revoked", "forbidden", "rate_limited")


def _whole_number(most: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


_LAST_EVENT_ID: Final = Parameter(
    "Last-Event-ID",
    "header",
    "`id` of the last event that was seen: what happened since comes first, without loss and without double. "
    "Any other text gets the event `reset`, then the stream.",
    {"type": "string"},
    "1795316645678-0",
    required=False,
)
_DEVICE_ID: Final = Parameter(
    "device_id",
    "path",
    "The device.",
    {"type": "string", "pattern": wire_live.DEVICE_ID_PATTERN},
    wire_live.DEVICE_ID_EXAMPLE,
)

LIVE_CALLS: Final[tuple[Call, ...]] = (
    Call(
        "streamMemberEvents", "GET", "/v1/me/events", _MEMBER, "member",
        parameters=(_LAST_EVENT_ID,),
        answers=(Answer(
            "Server-sent events until the access token ends: `ready` (where things stand), `notice` (an entry of the "
            "activity with the `balance` that is left), `reset` (too much was missed: read the activity), `end` (why "
            "the server ends the stream). A comment every 15 s keeps it open.",
            None, examples.NOTICES, media_type=_STREAM),),
        refusals=("malformed", "unauthenticated", "rate_limited", "overloaded", "unavailable"),
    ),
    Call(
        "listMemberActivity", "GET", "/v1/me/activity", _MEMBER, "member",
        parameters=(
            Parameter("limit", "query", "Movements of a page.", _whole_number(ACTIVITY_PAGE_MAX, ACTIVITY_PAGE_DEFAULT),
                      "20", required=False),
            Parameter("cursor", "query", "`next_cursor` of the page before.", {"type": "string", "maxLength": 80},
                      "MTc5NTMxNjY0NTY3OC0xNzk1MzE2NjQ1Njc4LTA", required=False),
        ),
        answers=(Answer("A page, newest first.", wire_live.ActivityAnswer, examples.ACTIVITY),),
        refusals=("malformed", "unauthenticated", "rate_limited", "unavailable"),
    ),
    Call(
        "enrolDevice", "POST", "/v1/me/devices", _MEMBER, "member",
        request=wire_live.DeviceRequest,
        request_examples=examples.ENROL,
        answers=(Answer("Enrolled; the key is told once.", wire_live.EnrolledDevice, examples.ENROLLED, 201),),
        refusals=(
            *_BODY, "unauthenticated", "rate_limited", "overloaded", "unavailable", "member_blocked", "not_found",
            "devices_exhausted",
        ),
    ),
    Call(
        "listDevices", "GET", "/v1/me/devices", _MEMBER, "member",
        answers=(Answer("The devices.", wire_live.DevicesAnswer, {"devices": [examples.DEVICE]}),),
        refusals=("unauthenticated", "rate_limited", "unavailable"),
    ),
    Call(
        "revokeDevice", "DELETE", "/v1/me/devices/{device_id}", _MEMBER, "member",
        parameters=(_DEVICE_ID,),
        answers=(Answer("Revoked, now or before.", wire_live.Device, examples.REVOKED),),
        refusals=("unauthenticated", "rate_limited", "unavailable", "not_found"),
    ),
    Call(
        "streamOperationsEvents", "GET", "/v1/ops/events", _OPERATIONS, "back_office",
        answers=(Answer("Server-sent events: `snapshot` once a second, as the call of that name; `refusals`, the new "
                        "ones; `end`.", None, examples.FIGURES, media_type=_STREAM),),
        refusals=(*_KEY, "overloaded", "unavailable"),
    ),
    Call(
        "getOperationsSnapshot", "GET", "/v1/ops/snapshot", _OPERATIONS, "back_office",
        answers=(Answer("The figures.", wire_ops.SnapshotAnswer, examples.SNAPSHOT),),
        refusals=("malformed", *_KEY, "unavailable"),
    ),
    Call(
        "getOperationsSeries", "GET", "/v1/ops/series", _OPERATIONS, "back_office",
        parameters=(Parameter("minutes", "query", "How far back.", _whole_number(60, 60), "10", required=False),),
        answers=(Answer("The seconds.", wire_ops.SeriesAnswer, examples.SERIES),),
        refusals=("malformed", *_KEY),
    ),
    Call(
        "listOperationsRefusals", "GET", "/v1/ops/refusals", _OPERATIONS, "back_office",
        parameters=(Parameter("limit", "query", "How many.", _whole_number(REFUSALS_PAGE_MAX, 100), "50",
                              required=False),),
        answers=(Answer("The refusals.", wire_ops.RefusalsAnswer, examples.REFUSALS),),
        refusals=("malformed", *_KEY, "unavailable"),
    ),
)  # fmt: skip
