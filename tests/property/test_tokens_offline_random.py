"""Codes of devices at random: each is read as it was written, everything else is refused. Hypothesis prints a blob."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tokens import base64url
from tokens.claims import MEMBER_NUMBERS, CodeClaim, CodeForm, Refused, Standing
from tokens.codec import CodeReader
from tokens.keyring import KeyRing, RingKey
from tokens.offline import (
    DEVICE_NUMBERS,
    SKEW_SECONDS,
    STEP_SECONDS,
    TAG_BYTES,
    derive_device_key,
    enrolled_key,
    write_offline,
)

RING = KeyRing.create("dev", "HS256").rotate("EdDSA", 0, 0).rotate("HS256", 0, 0)
READER = CodeReader(RING)
KEYS = st.sampled_from(RING.keys)
MEMBERS = st.integers(0, MEMBER_NUMBERS - 1)
DEVICES = st.integers(0, DEVICE_NUMBERS - 1)
STEPS = st.integers(1, 999_999_999)


@settings(print_blob=True, max_examples=500, deadline=None)
@given(key=KEYS, member=MEMBERS, device=DEVICES, step=STEPS, away=st.integers(-200, 200))
def test_what_a_device_writes_is_read_as_it_was_meant(
    key: RingKey, member: int, device: int, step: int, away: int
) -> None:
    enrolled = enrolled_key(key.digits_secret, key.kid, member, device)
    text = write_offline(enrolled.code_prefix, enrolled.secret, step)
    assert len(text) <= 160
    now = step * STEP_SECONDS + away
    claim = READER.read(text, now)
    assert isinstance(claim, CodeClaim)
    assert (claim.form, claim.member_number, claim.slot, claim.device_number) == (
        CodeForm.OFFLINE,
        member,
        step,
        device,
    )
    assert claim.nonce == f"o{device}"
    in_time = -SKEW_SECONDS <= away < STEP_SECONDS + SKEW_SECONDS
    assert (claim.standing is Standing.VALID) is in_time


@settings(print_blob=True, max_examples=500, deadline=None)
@given(
    key=KEYS,
    member=MEMBERS,
    device=DEVICES,
    step=STEPS,
    other_member=MEMBERS,
    other_device=DEVICES,
    tag=st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES),
)
def test_a_tag_that_is_not_the_devices_own_is_refused(
    key: RingKey, member: int, device: int, step: int, other_member: int, other_device: int, tag: bytes
) -> None:
    enrolled = enrolled_key(key.digits_secret, key.kid, member, device)
    foreign = derive_device_key(key.digits_secret, key.kid, other_member, other_device)
    message = f"{enrolled.code_prefix}{step}"
    assert isinstance(READER.read(f"{message}.{base64url.encode(tag)}", step * STEP_SECONDS), Refused)
    if (other_member, other_device) != (member, device):
        assert isinstance(READER.read(write_offline(enrolled.code_prefix, foreign, step), step * STEP_SECONDS), Refused)


@settings(print_blob=True, max_examples=500, deadline=None)
@given(data=st.data(), key=KEYS, member=MEMBERS, device=DEVICES, step=STEPS)
def test_a_changed_code_is_refused(data: st.DataObject, key: RingKey, member: int, device: int, step: int) -> None:
    enrolled = enrolled_key(key.digits_secret, key.kid, member, device)
    text = write_offline(enrolled.code_prefix, enrolled.secret, step)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(codec="utf-8").filter(lambda each: each != text[at]))
    changed = text[:at] + character + text[at + 1 :]
    if changed.strip(" \t\r\n\v\f") != text:
        assert isinstance(READER.read(changed, step * STEP_SECONDS), Refused)
