"""API keys: minted, mistyped, matched."""

import hashlib
import re

import pytest

from tokens.api_keys import (
    MISTYPED,
    NOT_A_KEY,
    OTHER_ENVIRONMENT,
    ApiKey,
    KeyKind,
    fingerprint,
    matches,
    mint,
    parse,
)

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("kind", KeyKind)
def test_a_minted_key_has_the_shape_of_the_contract_and_is_parsed_again(kind: KeyKind) -> None:
    key = mint(kind, "dev")
    assert re.fullmatch(rf"tong_{kind.value}_dev_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{38}}", key.text)
    assert parse(key.text, "dev") == key
    assert key.key_id == key.text.split("_")[3]


def test_two_minted_keys_differ() -> None:
    assert len({mint(KeyKind.TERMINAL, "dev").text for _ in range(100)}) == 100


def test_every_single_typing_error_is_refused_without_a_look_up() -> None:
    text = mint(KeyKind.TERMINAL, "dev").text
    start = len("tong_tk_dev_")
    for position in range(start, len(text)):
        if text[position] == "_":
            continue
        for character in BASE62:
            if character != text[position]:
                assert parse(text[:position] + character + text[position + 1 :], "dev") == MISTYPED


def test_swapped_neighbours_and_changed_case_are_refused() -> None:
    text = mint(KeyKind.TERMINAL, "dev").text
    for position in range(len(text) - 1):
        swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
        if swapped != text:
            assert parse(swapped, "dev") in (MISTYPED, NOT_A_KEY)
    assert parse(text.lower(), "dev") in (MISTYPED, NOT_A_KEY)


def test_kind_and_environment_are_covered_by_the_checksum() -> None:
    text = mint(KeyKind.TERMINAL, "dev").text
    assert parse(text.replace("_tk_", "_ak_"), "dev") == MISTYPED
    assert parse(text.replace("_dev_", "_live_"), "live") == MISTYPED
    assert parse(text, "live") == OTHER_ENVIRONMENT


@pytest.mark.parametrize(
    "text",
    ["", "tong", "tong_tk_dev_", "x" * 10_000_000, "\ud800", "你好", "tong_xk_dev_" + "a" * 51, "Bearer x", "\x00"],
)
def test_other_text_is_no_key(text: str) -> None:
    assert parse(text, "dev") == NOT_A_KEY
    real = mint(KeyKind.TERMINAL, "dev").text
    for around in (f" {real}", f"{real}\n", f"{real}x"):
        assert parse(around, "dev") == NOT_A_KEY


def test_only_the_same_key_matches_a_fingerprint() -> None:
    key, other = mint(KeyKind.ADMIN, "dev"), mint(KeyKind.ADMIN, "dev")
    assert fingerprint(key) == hashlib.sha256(key.text.encode()).digest()
    assert matches(key, fingerprint(key))
    assert not matches(other, fingerprint(key))
    assert not matches(key, b"")


def test_a_key_shows_its_id_and_never_its_secret() -> None:
    key = mint(KeyKind.TERMINAL, "dev")
    secret = key.text.rpartition("_")[2]
    assert isinstance(key, ApiKey)
    for shown in (repr(key), str(key), f"{key}", repr([key])):
        assert key.key_id in shown
        assert secret not in shown
        assert secret[:32] not in shown


@pytest.mark.parametrize("environment", ["", "DEV", "toolong", "a_b", "dev\n"])
def test_a_wrong_environment_is_never_minted(environment: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        mint(KeyKind.TERMINAL, environment)
