"""/v1/me/devices: the devices that make codes without network.

A device's key is in the answer to its enrolment and in no other.
"""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.callers import counted_member
from gateway.api.members import examples
from gateway.api.members.schemas import (
    DEVICE_ID_EXAMPLE,
    DEVICE_ID_PATTERN,
    Device,
    DeviceRequest,
    DevicesAnswer,
    EnrolledDevice,
)
from gateway.api.state import State
from gateway.http.body import read_json
from gateway.http.responses import respond
from gateway.openapi.operation import Parameter, Returns, operation
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed, refused
from gateway.scans.input import ask_hot_store
from redemption.devices.store import DevicesAway, device_number
from redemption.domain.limits import DEVICES_PER_MEMBER_MAX
from redemption.domain.outcomes import Outcome, Refusal

_decoder: Final = msgspec.json.Decoder(DeviceRequest)
NOT_FOUND: Final = "This member has no such device"
AWAY: Final = "Devices cannot be read or changed at this moment; see the list before trying again"


@operation(
    "enrolDevice",
    "POST",
    "/v1/me/devices",
    "Member app",
    "member",
    request=DeviceRequest,
    request_examples=examples.ENROL,
    returns=(Returns("Enrolled; the key is given this once.", EnrolledDevice, examples.ENROLLED, 201),),
    refusals=(*groups.BODY, *groups.MEMBER, *groups.STORE, "member_blocked", "not_found", "devices_exhausted"),
)
async def enrol_device(request: Request) -> Response:
    """A device may make codes by itself from now on, with the key that is given here and never again. A blocked member
    enrols none."""
    state: State = request.app.state.tong
    wanted, _, _ = await read_json(request, _decoder)
    replaces = None
    if wanted.replaces is not None:
        replaces = device_number(wanted.replaces)
        if replaces is None:
            raise malformed("is not the id of a device", "replaces")
    number = await counted_member(request)
    kid = state.issuer.current_kid
    member = await ask_hot_store(state.memberships.find(number), changes=False)
    if member is not None and member.status == "blocked":
        raise refused(Refusal(Outcome.MEMBER_BLOCKED))
    try:
        device = await state.live.devices.enrol(number, wanted.name, kid, replaces=replaces)
    except DevicesAway:
        raise Problem("unavailable", AWAY) from None
    if device == "not_found":
        raise Problem("not_found", NOT_FOUND)
    if device == "devices_exhausted":
        raise Problem(
            "devices_exhausted",
            f"A member may have {DEVICES_PER_MEMBER_MAX} devices in force",
            figures=("", str(DEVICES_PER_MEMBER_MAX)),
        )
    key = state.issuer.enrol(number, device.device_number, kid)
    return respond(EnrolledDevice.with_key(Device.of(device, kid), key), 201)


@operation(
    "listDevices",
    "GET",
    "/v1/me/devices",
    "Member app",
    "member",
    returns=(Returns("The devices.", DevicesAnswer, {"devices": [examples.DEVICE]}),),
    refusals=(*groups.MEMBER, "unavailable"),
)
async def list_devices(request: Request) -> Response:
    """The member's devices, newest first, those that were revoked too."""
    state: State = request.app.state.tong
    number = await counted_member(request)
    try:
        devices = await state.live.devices.of_member(number)
    except DevicesAway:
        raise Problem("unavailable", AWAY) from None
    kid = state.issuer.current_kid
    return respond(DevicesAnswer(tuple(Device.of(device, kid) for device in devices)))


@operation(
    "revokeDevice",
    "DELETE",
    "/v1/me/devices/{device_id}",
    "Member app",
    "member",
    parameters=(
        Parameter(
            "device_id",
            "path",
            "The device.",
            {"type": "string", "pattern": DEVICE_ID_PATTERN},
            DEVICE_ID_EXAMPLE,
        ),
    ),
    returns=(Returns("The device, revoked by this call or an earlier one.", Device, examples.REVOKED),),
    refusals=(*groups.MEMBER, "unavailable", "not_found"),
)
async def revoke_device(request: Request) -> Response:
    """Refuses every code of the device from within a second on, for ever. Repeating it is safe."""
    state: State = request.app.state.tong
    number = await counted_member(request)
    found = device_number(request.path_params["device_id"])
    try:
        device = await state.live.devices.revoke(number, found) if found is not None else None
    except DevicesAway:
        raise Problem("unavailable", AWAY) from None
    if device is None:
        raise Problem("not_found", NOT_FOUND)
    return respond(Device.of(device, state.issuer.current_kid))


ENDPOINTS: Final = (enrol_device, list_devices, revoke_device)
