"""Codes that a device makes by itself: the format, its clock, and what an attacker can try."""

import hashlib
import hmac

import pytest

from redemption.domain.limits import CODE_MARKER_SECONDS
from tokens import base64url
from tokens.claims import SLOT_SECONDS, CodeClaim, CodeForm, CodeRefusal, Refused, Standing, slot_at
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import KeyRing
from tokens.offline import (
    DEVICE_NUMBERS,
    SKEW_SECONDS,
    STEP_SECONDS,
    derive_device_key,
    enrolled_key,
    step_at,
    write_offline,
)

NOW = 1_795_346_948.0
STEP = step_at(NOW)
MEMBER, DEVICE = 1_001, 10
RING = KeyRing.create("dev", "HS256").rotate("HS256", NOW, 0)
READER = CodeReader(RING)
ISSUER = CodeIssuer(RING, "HS256", lambda: NOW)
ENROLLED = ISSUER.enrol(MEMBER, DEVICE, ISSUER.current_kid)


def code(step: int = STEP) -> str:
    return write_offline(ENROLLED.code_prefix, ENROLLED.secret, step)


def read(text: str, now: float = NOW, reader: CodeReader = READER) -> CodeClaim:
    claim = reader.read(text, now)
    assert isinstance(claim, CodeClaim), claim
    return claim


def refused(text: str, reason: CodeRefusal) -> None:
    answer = READER.read(text, NOW)
    assert isinstance(answer, Refused), answer
    assert answer.reason is reason


def signed(message: str, key: bytes = ENROLLED.secret) -> str:
    """Any message under a key, as somebody who has the key would sign it."""
    return f"{message}.{base64url.encode(hmac.digest(key, message.encode(), 'sha256')[:16])}"


@pytest.mark.parametrize(
    ("key", "prefix", "now", "expected"),
    [
        (bytes(range(32)), "o1.dev-1.1001.10.", 1_795_346_948, "o1.dev-1.1001.10.59844898.3uiacYADNOTij4Ee7dpodw"),
        (bytes(32), "o1.live-7.0.1.", 1_800_000_000, "o1.live-7.0.1.60000000.cRLAmOnTcthzqAF9fa08rA"),
        (b"\xff" * 32, "o1.dev-9999.99999999.34359738367.", 1_795_346_969.9, None),
    ],
)
def test_vectors_of_the_algorithm_that_a_page_uses(key: bytes, prefix: str, now: float, expected: str | None) -> None:
    made = write_offline(prefix, key, step_at(now))
    message = f"{prefix}{int(now) // 30}"
    tag = hmac.new(key, message.encode("ascii"), hashlib.sha256).digest()[:16]
    assert made == f"{message}.{base64url.encode(tag)}"
    assert len(made) <= 67
    assert expected is None or made == expected


def test_a_code_says_member_device_and_step_in_few_characters() -> None:
    claim = read(code())
    assert claim == CodeClaim(
        CodeForm.OFFLINE,
        MEMBER,
        STEP,
        f"o{DEVICE}",
        (STEP + 1) * STEP_SECONDS + SKEW_SECONDS,
        Standing.VALID,
        DEVICE,
    )
    assert len(code()) <= 160
    assert read(f"\t {code()}\r\n") == claim


def test_the_clock_of_a_device_may_be_a_minute_off_and_no_more() -> None:
    begins, ends = STEP * STEP_SECONDS, (STEP + 1) * STEP_SECONDS
    for now, standing in (
        (begins - SKEW_SECONDS - 0.01, Standing.NOT_YET),
        (begins - SKEW_SECONDS, Standing.VALID),
        (begins, Standing.VALID),
        (ends + SKEW_SECONDS - 0.01, Standing.VALID),
        (ends + SKEW_SECONDS, Standing.EXPIRED),
    ):
        assert read(code(), now).standing is standing
    assert read(code(step_at(NOW) + 1_000)).standing is Standing.NOT_YET
    assert read(code(1)).standing is Standing.EXPIRED


def test_the_marker_of_a_used_step_outlives_its_window_and_is_no_slots() -> None:
    assert STEP_SECONDS + 2 * SKEW_SECONDS < CODE_MARKER_SECONDS
    good_steps = {step for step in range(STEP - 10, STEP + 10) if read(code(step)).standing is Standing.VALID}
    good_slots = set(range(slot_at(NOW) - 100, slot_at(NOW) + 100))
    assert good_steps
    assert not good_steps & good_slots
    assert STEP_SECONDS > SLOT_SECONDS


def test_a_device_makes_no_code_of_another_device_or_member_or_key() -> None:
    kid = ISSUER.current_kid
    for other in (
        f"o1.{kid}.{MEMBER}.{DEVICE + 1}.{STEP}",
        f"o1.{kid}.{MEMBER + 1}.{DEVICE}.{STEP}",
        f"o1.dev-1.{MEMBER}.{DEVICE}.{STEP}",
        f"o1.{kid}.{DEVICE}.{MEMBER}.{STEP}",
    ):
        refused(signed(other), CodeRefusal.FORGED)
    genuine, tag = code().rpartition(".")[::2]
    refused(f"{genuine[:-1]}{(int(genuine[-1]) + 1) % 10}.{tag}", CodeRefusal.FORGED)
    refused(f"{genuine}.{tag[:10]}{'A' if tag[10] != 'A' else 'B'}{tag[11:]}", CodeRefusal.FORGED)
    refused(signed(f"o1.live-1.{MEMBER}.{DEVICE}.{STEP}"), CodeRefusal.FORGED)


def test_a_code_has_one_spelling() -> None:
    prefix = ENROLLED.code_prefix
    for message in (
        f"{prefix}0{STEP}",
        prefix.replace(f".{MEMBER}.", f".0{MEMBER}.") + str(STEP),
        f"O1{prefix[2:]}{STEP}",
        f"{prefix}{STEP}.1",
        f"{prefix}-{STEP}",
        f"{prefix}\N{ARABIC-INDIC DIGIT ONE}",
        f"{prefix}",
        prefix.replace(f".{DEVICE}.", f".{DEVICE_NUMBERS}.") + str(STEP),
    ):
        refused(signed(message), CodeRefusal.MALFORMED)
    for text in (f"{code()}=", code()[:-1], f"{code()} x", code() + code()):
        refused(text, CodeRefusal.MALFORMED)
    # Four bits of the 22 characters say nothing: only zeros are the spelling.
    assert code()[-1] in "AQgw"
    refused(code()[:-1] + chr(ord(code()[-1]) + 1), CodeRefusal.MALFORMED)


def test_codes_of_a_revoked_device_are_told_so_while_in_time() -> None:
    revoked: set[int] = set()
    reader = CodeReader(RING, revoked)
    assert read(code(), reader=reader).standing is Standing.VALID
    revoked.add(DEVICE)
    assert read(code(), reader=reader).standing is Standing.REVOKED
    assert read(code(STEP - 100), reader=reader).standing is Standing.EXPIRED
    revoked.remove(DEVICE)
    revoked.add(DEVICE + 1)
    assert read(code(), reader=reader).standing is Standing.VALID


def test_a_retired_ring_key_ends_its_devices() -> None:
    old = CodeIssuer(RING, "HS256", lambda: 0.0).enrol(MEMBER, DEVICE, "dev-1")
    text = write_offline(old.code_prefix, old.secret, STEP)
    assert read(text).standing is Standing.VALID
    retired = CodeReader(RING.retire("dev-1", NOW)).read(text, NOW)
    assert isinstance(retired, Refused)
    assert retired.reason is CodeRefusal.FORGED


def test_keys_differ_by_each_part_and_are_in_no_repr() -> None:
    parts = [(b"a" * 32, "dev-1", 1, 2), (b"b" * 32, "dev-1", 1, 2), (b"a" * 32, "dev-2", 1, 2)]
    parts += [(b"a" * 32, "dev-1", 2, 2), (b"a" * 32, "dev-1", 1, 3), (b"a" * 32, "dev-1", 12, 2)]
    keys = {derive_device_key(*each) for each in parts}
    assert len(keys) == len(parts)
    assert base64url.encode(ENROLLED.secret) not in repr(ENROLLED)
    assert repr(ENROLLED.secret) not in repr(ENROLLED)
    for member, device in ((-1, 1), (100_000_000, 1), (1, -1), (1, DEVICE_NUMBERS)):
        with pytest.raises(ValueError, match="range"):
            enrolled_key(b"a" * 32, "dev-1", member, device)
