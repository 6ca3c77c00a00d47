"""Headers, lengths and credentials that no till should send: always answered 4xx, never 5xx; nothing changes."""

import json
import random
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.untouched import nothing_changes
from tests.support.fuzzing.wrong_input import Environment, raw_verify, refused
from tests.support.servers.stack import Member, Stack


@pytest.fixture(scope="module")
async def member(stack: Stack) -> Member:
    return await stack.member(("hotel", 10_000, 2))


@pytest.fixture
def environment(stack: Stack, tong: TongClient, member: Member) -> Environment:
    return Environment(stack, tong, member, stack.terminals["hotel"], stack.aged_code(member, 0).code)


@pytest.mark.parametrize("size", [16_385, 1_000_000, 3_000_000])
async def test_a_body_that_is_too_large_is_refused_whether_its_length_is_told_or_not(
    environment: Environment, size: int
) -> None:
    start = json.dumps(environment.valid()).encode()
    body = start + b" " * (size - len(start))
    assert (await refused(environment, body, 413))["code"] == "body_too_large"

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 5_000):
            yield body[at : at + 5_000]

    headers = {"authorization": f"Bearer {environment.terminal.api_key}", "content-type": "application/json"}
    async with (
        nothing_changes(environment.stack, environment.member),
        httpx2.AsyncClient(base_url=environment.stack.base_url) as http,
    ):
        try:
            answer = await http.post("/v1/verify", content=chunks(), headers={**headers, "idempotency-key": "chunks"})
        except httpx2.TransportError:
            assert size > 100_000, "a small one is read to its end before it is refused"
            return
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "body_too_large")


async def test_the_largest_body_is_read_in_chunks_of_any_size(environment: Environment) -> None:
    body = json.dumps(environment.valid() | {"confirm_duplicate": True}).encode()
    body += b" " * (16_384 - len(body))

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 999):
            yield body[at : at + 999]

    headers = {"authorization": f"Bearer {environment.terminal.api_key}", "content-type": "application/json"}
    answer = await environment.tong.http.post(
        "/v1/verify", content=chunks(), headers={**headers, "idempotency-key": fresh_key()}
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonx", "json", "*/*",
     "application/json; charset=gbk", "application/json;charset=utf-16", "multipart/form-data; boundary=x",
     "application/problem+json"],
)  # fmt: skip
async def test_a_body_that_does_not_say_json_is_refused(environment: Environment, content_type: str) -> None:
    document = await refused(
        environment, json.dumps(environment.valid()).encode(), 415, **{"content-type": content_type}
    )
    assert document["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_the_usual_ways_to_say_json_are_taken(environment: Environment, content_type: str) -> None:
    answer = await environment.tong.verify(
        environment.terminal,
        environment.valid() | {"confirm_duplicate": True},
        fresh_key(),
        {"content-type": content_type},
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "key",
    [b"", b" ", b"\t", b"x" * 65, b"x" * 5_000, b"a b", "鑰匙".encode(), b"caf\xe9", b"a\tb", b"\xa0", b"a,\xff"],
)
async def test_a_key_that_is_none_is_refused(environment: Environment, key: bytes) -> None:
    status, body = await raw_verify(
        environment,
        [
            (b"authorization", f"Bearer {environment.terminal.api_key}".encode()),
            (b"content-type", b"application/json"),
            (b"idempotency-key", key),
        ],
    )
    document = json.loads(body)
    assert (document["code"], status) == ("idempotency_key_missing", 400)
    assert document["errors"][0]["field"] == "header Idempotency-Key"


@pytest.mark.parametrize("key", [b"\x7f", b"a\x00b", b"a\x01b", b"a\nb"])
async def test_a_header_that_http_does_not_allow_is_refused(environment: Environment, key: bytes) -> None:
    status, _ = await raw_verify(
        environment,
        [
            (b"authorization", f"Bearer {environment.terminal.api_key}".encode()),
            (b"content-type", b"application/json"),
            (b"idempotency-key", key),
        ],
    )
    assert status == 400, "said by the HTTP server itself: there is no request yet that could have a problem document"


@pytest.mark.parametrize(
    "authorization",
    [
        *(b"", b"Bearer", b"Bearer ", b"bearer  ", b"Basic dXNlcjpwYXNz", b"Bearer x", b"Bearer " + b"x" * 8_000),
        *(b"Bearer \xff\xfe", b"Bearer tong_tk_dev_" + b"0" * 12 + b"_" + b"0" * 38, b"tong_tk_dev_x"),
        *(b"Bearer a b c", b"Bearer ../../etc/passwd"),
    ],
)
async def test_a_credential_that_is_none_is_refused(environment: Environment, authorization: bytes) -> None:
    status, body = await raw_verify(
        environment,
        [(b"authorization", authorization), (b"content-type", b"application/json"), (b"idempotency-key", b"k")],
    )
    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")
    assert len(authorization) < 12 or authorization[7:] not in body, "a credential is never repeated"


async def test_a_terminals_key_with_one_character_changed_is_refused(environment: Environment) -> None:
    key = environment.terminal.api_key
    chosen = random.Random(7)
    async with nothing_changes(environment.stack, environment.member):
        for position in sorted(chosen.sample(range(len(key)), 12)):
            other = "0" if key[position] != "0" else "1"
            answer = await environment.tong.verify(
                environment.terminal,
                environment.valid(),
                fresh_key(),
                {"authorization": f"Bearer {key[:position]}{other}{key[position + 1 :]}"},
            )
            assert problem_of(answer)["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "language",
    [
        b"",
        b";;;,,,",
        b"zh-Hant;q=abc",
        b"x" * 8_000,
        b"\xff\xfe",
        b"*",
        b"en;q=0",
        b"en;q=1e400,zh;q=nan",
        b",".join([b"en"] * 2_000),
    ],
)
async def test_an_odd_accept_language_is_answered_like_none(environment: Environment, language: bytes) -> None:
    headers = [
        (b"authorization", f"Bearer {environment.terminal.api_key}".encode()),
        (b"content-type", b"application/json"),
        (b"idempotency-key", fresh_key().encode()),
        (b"accept-language", language),
    ]
    answer = await environment.tong.http.post("/v1/verify", content=b'{"code": "x"}', headers=headers)
    assert problem_of(answer)["code"] == "code_malformed"


@pytest.mark.parametrize("size", [100_000, 8_000_000])
async def test_headers_that_are_too_large_are_refused(environment: Environment, size: int) -> None:
    """Either with an answer or by closing the connection, but not taken: memory for headers has a bound."""
    headers = {
        "authorization": f"Bearer {environment.terminal.api_key}",
        "content-type": "application/json",
        "idempotency-key": fresh_key(),
        "x-padding": "x" * size,
    }
    body = json.dumps(environment.valid() | {"confirm_duplicate": True}).encode()
    async with (
        nothing_changes(environment.stack, environment.member),
        httpx2.AsyncClient(base_url=environment.stack.base_url) as http,
    ):
        try:
            answer = await http.post("/v1/verify", content=body, headers=headers)
        except httpx2.TransportError:
            return
        assert answer.status_code in {400, 413, 431}
