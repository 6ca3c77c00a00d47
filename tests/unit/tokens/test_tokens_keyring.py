"""The key ring: its file, its rotation, and what it never shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from tokens import base64url
from tokens.errors import KeyRingUnusable
from tokens.keyring import KEYS_MAX, KeyRing, KeyRingFile, RingRefresh
from tokens.private_file import write_private_file

NOW = 1_795_000_000.0


def test_a_saved_ring_is_loaded_again_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create("dev", "HS256").rotate("EdDSA", NOW)
    ring.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.load(path, "dev") == ring
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_fresh_secrets_have_32_bytes_and_differ() -> None:
    keys = [*KeyRing.create("dev", "HS256").keys, *KeyRing.create("dev", "EdDSA").keys]
    secrets = {secret for key in keys for secret in (key.secret, key.digits_secret)}
    assert len(secrets) == 4
    assert all(len(secret) == 32 for secret in secrets)


def test_no_secret_is_shown_by_repr_or_by_a_fault(tmp_path: Path) -> None:
    ring = KeyRing.create("dev", "HS256").rotate("EdDSA", NOW)
    path = tmp_path / "keys.json"
    shown = [repr(ring), *(repr(key) for key in ring.keys), str(ring)]
    document = json.loads(ring.to_json())
    document["keys"][0]["algorithm"] = "HS512"
    write_private_file(path, json.dumps(document).encode(), replace=True)
    with pytest.raises(KeyRingUnusable) as fault:
        KeyRing.load(path, "dev")
    shown += [str(fault.value), repr(fault.value)]
    assert fault.value.__cause__ is None
    for key in ring.keys:
        for secret in (key.secret, key.digits_secret):
            for form in (repr(secret), base64url.encode(secret), secret.hex()):
                assert all(form not in text for text in shown)


def test_rotation_adds_a_key_that_signs_after_the_delay_and_the_old_one_stays() -> None:
    ring = KeyRing.create("dev", "HS256")
    rotated = ring.rotate("HS256", NOW)
    assert [key.kid for key in rotated.keys] == ["dev-1", "dev-2"]
    assert rotated.signing_key("HS256", NOW + 9).kid == "dev-1"
    assert rotated.signing_key("HS256", NOW + 10).kid == "dev-2"
    assert rotated.signing_key("HS256", 0).kid == "dev-1"
    assert [key.kid for key in ring.keys] == ["dev-1"]


def test_the_algorithms_of_a_ring_sign_side_by_side() -> None:
    ring = KeyRing.create("dev", "HS256").rotate("EdDSA", NOW)
    assert ring.signing_key("HS256", NOW + 60).kid == "dev-1"
    assert ring.signing_key("EdDSA", NOW).kid == "dev-2"
    with pytest.raises(KeyRingUnusable):
        KeyRing.create("dev", "EdDSA").signing_key("HS256", NOW)


def test_a_retired_key_is_gone_and_its_number_is_never_given_again() -> None:
    ring = KeyRing.create("dev", "HS256").rotate("HS256", NOW)
    without_new = ring.retire("dev-2", NOW)
    assert [key.kid for key in without_new.rotate("HS256", NOW).keys] == ["dev-1", "dev-3"]
    assert [key.kid for key in ring.retire("dev-1", NOW + 20).keys] == ["dev-2"]


def test_the_signing_key_and_an_unknown_one_cannot_be_retired() -> None:
    ring = KeyRing.create("dev", "HS256").rotate("HS256", NOW)
    with pytest.raises(KeyRingUnusable, match="signs"):
        ring.retire("dev-1", NOW)
    with pytest.raises(KeyRingUnusable, match="no such key"):
        ring.retire("dev-7", NOW)


def test_a_full_ring_is_not_rotated() -> None:
    ring = KeyRing.create("dev", "HS256")
    for _ in range(KEYS_MAX - 1):
        ring = ring.rotate("HS256", NOW)
    with pytest.raises(KeyRingUnusable, match="retire"):
        ring.rotate("HS256", NOW)


def test_the_jwks_has_public_keys_only() -> None:
    assert KeyRing.create("dev", "HS256").public_jwks() == {"keys": []}
    ring = KeyRing.create("dev", "HS256").rotate("EdDSA", NOW)
    (key,) = ring.public_jwks()["keys"]
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    assert (key["kid"], key["alg"]) == ("dev-2", "EdDSA")
    text = json.dumps(ring.public_jwks())
    for ring_key in ring.keys:
        assert base64url.encode(ring_key.secret) not in text
        assert base64url.encode(ring_key.digits_secret) not in text


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyRing.create("dev", "HS256").save(path)
    for mode in (0o640, 0o604, 0o660, 0o644):
        path.chmod(mode)
        with pytest.raises(KeyRingUnusable, match="chmod 600"):
            KeyRing.load(path, "dev")


def test_a_ring_of_another_environment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyRing.create("test", "HS256").save(path)
    with pytest.raises(KeyRingUnusable, match="environment"):
        KeyRing.load(path, "live")


@pytest.mark.parametrize("environment", ["", "Dev", "a-b", "toolong", "dev\n", "../x"])
def test_a_wrong_environment_name_is_refused(environment: str) -> None:
    with pytest.raises(KeyRingUnusable):
        KeyRing.create(environment, "HS256")


def changed(path: str, value: Any) -> bytes:
    document: Any = json.loads(KeyRing.create("dev", "EdDSA").rotate("HS256", NOW).to_json())
    target = document
    *parents, last = path.split(".")
    for name in parents:
        target = target[int(name)] if name.isdigit() else target[name]
    target[int(last) if last.isdigit() else last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        b" " * 70_000,
        changed("version", 2),
        changed("environment", "DEV"),
        changed("next_number", 2),
        changed("keys", []),
        changed("keys.0.number", 2),
        changed("keys.0.number", 0),
        changed("keys.0.number", "1"),
        changed("keys.0.algorithm", "none"),
        changed("keys.0.algorithm", "RS256"),
        changed("keys.0.secret", "AAAA"),
        changed("keys.0.secret", base64url.encode(b"x" * 33)),
        changed("keys.1.secret", base64url.encode(b"x" * 31)),
        changed("keys.1.secret", "=" * 43),
        changed("keys.1.digits_secret", ""),
        changed("keys.1.digits_secret", base64url.encode(b"x" * 31)),
        changed("keys.1.signs_from", -1),
        changed("keys.1.extra", 1),
        changed("extra", 1),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a_file_that_is_no_ring_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "keys.json"
    write_private_file(path, data, replace=True)
    with pytest.raises(KeyRingUnusable, match=r"keys\.json"):
        KeyRing.load(path, "dev")


def test_a_missing_or_unwritable_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(KeyRingUnusable, match="cannot be read"):
        KeyRing.load(tmp_path / "none.json", "dev")
    with pytest.raises(KeyRingUnusable, match="cannot be written"):
        KeyRing.create("dev", "HS256").save(tmp_path / "no-folder" / "keys.json")


def test_a_changed_file_is_reloaded_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create("dev", "HS256")
    ring.save(path)
    watched = KeyRingFile(path, "dev")
    assert watched.refresh() is RingRefresh.UNCHANGED
    assert watched.ring == ring
    rotated = ring.rotate("HS256", NOW)
    rotated.save(path)
    assert watched.refresh() is RingRefresh.RELOADED
    assert watched.ring == rotated
    assert watched.refresh() is RingRefresh.UNCHANGED


def test_a_broken_file_keeps_the_old_ring_and_says_why_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create("dev", "HS256")
    ring.save(path)
    watched = KeyRingFile(path, "dev")
    write_private_file(path, b"{", replace=True)
    for _ in range(2):
        assert watched.refresh() is RingRefresh.BROKEN
        assert watched.ring == ring
        assert watched.fault is not None
    path.unlink()
    for _ in range(2):
        assert watched.refresh() is RingRefresh.BROKEN
        assert watched.fault is not None
        assert "cannot be read" in watched.fault
    rotated = ring.rotate("HS256", NOW)
    rotated.save(path)
    assert watched.refresh() is RingRefresh.RELOADED
    assert watched.fault is None
    assert watched.ring == rotated


def test_a_mode_that_is_opened_and_closed_again_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyRing.create("dev", "HS256").save(path)
    watched = KeyRingFile(path, "dev")
    path.chmod(0o644)
    assert watched.refresh() is RingRefresh.BROKEN
    path.chmod(0o600)
    assert watched.refresh() is RingRefresh.RELOADED


def test_the_first_ring_must_be_usable(tmp_path: Path) -> None:
    with pytest.raises(KeyRingUnusable):
        KeyRingFile(tmp_path / "keys.json", "dev")


def test_open_or_create_makes_a_ring_once_and_adds_a_missing_algorithm(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = KeyRingFile.open_or_create(path, "dev", "HS256", NOW)
    assert KeyRingFile.open_or_create(path, "dev", "HS256", NOW).ring == first.ring
    both = KeyRingFile.open_or_create(path, "dev", "EdDSA", NOW).ring
    assert [(key.kid, key.algorithm) for key in both.keys] == [("dev-1", "HS256"), ("dev-2", "EdDSA")]


def test_a_ring_made_by_somebody_else_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create("dev", "HS256")
    assert ring.save_new(path)
    assert not KeyRing.create("dev", "HS256").save_new(path)
    assert KeyRing.load(path, "dev") == ring
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]
