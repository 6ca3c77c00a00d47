"""Codes that a member's device makes by itself, for places without network.

    o1.<kid>.<member number>.<device number>.<step>.<tag>

    step       Unix seconds // 30 by the device's clock
    tag        base64url of the first 16 bytes of HMAC-SHA-256(device key, everything before the last dot)
    device key HMAC-SHA-256(the ring key's digits_secret, "tong offline v1 device <kid> <member> <device>")

The key of a device is derived, not stored: whoever has the ring has every device's key, and the gateway needs no
look-up to check a code. About 50 characters, at most 67, so a QR symbol of version 5 is enough.

Guarantees, against somebody without the ring:
- A code of a device can be made with that device's key only; it names device, member and ring key, and all of them are
  under the tag, so the key of one device makes no code of another device or member. A guess holds with chance 2^-128.
- Each code has one spelling; nothing of it is believed before the tag held. Tags are compared in constant time.
- A code is good in its step, `SKEW_SECONDS` before and after it (clocks of devices differ) and never else.
Not guaranteed: who copies the key out of a device can make codes until the device is revoked. That a step is used once
is the hot store's to know, that a device was revoked the gateway's (redemption/devices/).
"""

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from tokens import base64url
from tokens.claims import MEMBER_NUMBERS, CodeClaim, CodeForm, Refused, Standing, forged, malformed

PREFIX: Final = "o1."
STEP_SECONDS: Final = 30
SKEW_SECONDS: Final = 60
DEVICE_NUMBERS: Final = 2**35  # seven characters of base 32
TAG_BYTES: Final = 16
MARKER_PREFIX: Final = "o"
"""A used step is marked by the field `o<device number>` in the hash of (member, step). At any moment steps that can be
good are a fifteenth of the slots that can be, so this is never the hash of a slot, and a nonce never meets a device."""

_SHAPE: Final = re.compile(
    r"(o1\.([a-z0-9]{1,6}-[0-9]{1,4})\.(0|[1-9][0-9]{0,7})\.(0|[1-9][0-9]{0,10})\.([1-9][0-9]{0,8}))\.([A-Za-z0-9_-]{22})",
    re.ASCII,
)

WRONG_SHAPE: Final = malformed("A code of a device has six parts with dots between them.")
TAG_NOT_BASE64: Final = malformed("The tag of the device's code is not canonical base64url.")
NUMBER_TOO_LARGE: Final = malformed("A number of the device's code is out of range.")
KEY_UNKNOWN: Final = forged("The device's code names no key of this gateway.")
TAG_WRONG: Final = forged("The code was not made by the device that it names.")

assert (STEP_SECONDS + 2 * SKEW_SECONDS) < 600  # the used-code marker (limits.CODE_MARKER_SECONDS) outlives a step


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """The values that a device receives once: its key, and the part of its codes that never changes."""

    code_prefix: str
    kid: str
    secret: bytes = field(repr=False)


def derive_device_key(ring_secret: bytes, kid: str, member_number: int, device_number: int) -> bytes:
    """Return the 32 bytes of a device; its own label keeps them apart from the keys of the digits."""
    label = f"tong offline v1 device {kid} {member_number} {device_number}"
    return hmac.digest(ring_secret, label.encode("ascii"), "sha256")


def enrolled_key(ring_secret: bytes, kid: str, member_number: int, device_number: int) -> EnrolledKey:
    """Return the key of a device. Raises ValueError for numbers out of range."""
    if not (0 <= member_number < MEMBER_NUMBERS and 0 <= device_number < DEVICE_NUMBERS):
        raise ValueError("a number is out of range")
    secret = derive_device_key(ring_secret, kid, member_number, device_number)
    return EnrolledKey(f"{PREFIX}{kid}.{member_number}.{device_number}.", kid, secret)


def step_at(now: float) -> int:
    """Return the step of a moment in Unix seconds."""
    return int(now) // STEP_SECONDS


def write_offline(code_prefix: str, key: bytes, step: int) -> str:
    """Return the code of a step, as a device makes it."""
    message = f"{code_prefix}{step}"
    return f"{message}.{base64url.encode(_tag(key, message))}"


def read_offline(text: str, ring_secrets: dict[str, bytes], now: float) -> CodeClaim | Refused:
    """Return the claim of a genuine code of any age; `ring_secrets` are the ring keys' `digits_secret` by key id.

    `text` begins with `PREFIX`. Two HMACs for a valid code and for a forged one alike.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return WRONG_SHAPE
    message, kid, member_text, device_text, step_text, tag_text = shape.groups()
    member_number, device_number, step = int(member_text), int(device_text), int(step_text)
    if device_number >= DEVICE_NUMBERS:
        return NUMBER_TOO_LARGE
    tag = base64url.decode(tag_text)
    if tag is None:
        return TAG_NOT_BASE64
    secret = ring_secrets.get(kid)
    if secret is None:
        return KEY_UNKNOWN
    key = derive_device_key(secret, kid, member_number, device_number)
    if not hmac.compare_digest(_tag(key, message), tag):
        return TAG_WRONG
    return CodeClaim(
        CodeForm.OFFLINE,
        member_number,
        step,
        f"{MARKER_PREFIX}{device_number}",
        (step + 1) * STEP_SECONDS + SKEW_SECONDS,
        standing_of_step(step, now),
        device_number,
    )


def standing_of_step(step: int, now: float) -> Standing:
    """Return the validity of a code of this step at `now` (Unix seconds)."""
    if now >= (step + 1) * STEP_SECONDS + SKEW_SECONDS:
        return Standing.EXPIRED
    if now < step * STEP_SECONDS - SKEW_SECONDS:
        return Standing.NOT_YET
    return Standing.VALID


def _tag(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode("ascii"), "sha256")[:TAG_BYTES]
