"""A head that repeats the last one is read as the parser reads it, or left to the parser."""

import random
from typing import Any

import httptools
import pytest

from gateway.hot_path.repeated_head import RepeatedHead

BODY = b'{"code":"123"}'


class Parsed:
    """The parser's reading of a request: its headers, its body, how many messages were whole."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.begun = self.whole = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


def request(
    *,
    key: bytes = b"key-1",
    token: bytes = b"Bearer tong_tk_dev_a",
    length: bytes | None = None,
    body: bytes = BODY,
    more: bytes = b"",
    line: bytes = b"POST /v1/verify HTTP/1.1",
) -> bytes:
    length = b"%d" % len(body) if length is None else length
    return (
        b"%b\r\nHost: tong.example\r\nAuthorization: %b\r\nContent-Type: application/json\r\nIdempotency-Key: %b\r\n"
        b"%bContent-Length: %b\r\n\r\n%b" % (line, token, key, more, length, body)
    )


def scope_of(data: bytes) -> dict[str, Any]:
    return {"type": "http", "headers": Parsed(data).headers}


def kept(data: bytes) -> RepeatedHead:
    head = RepeatedHead.of(data, scope_of(data))
    assert head is not None
    return head


def test_another_key_body_and_till_are_read_as_by_the_parser() -> None:
    head = kept(request())
    for data in (
        request(key=b"other,key;with=signs"),
        request(body=b'{"code":"456789"}'),
        request(token=b"Bearer tong_tk_dev_another"),
        request(key=b"z", body=b"", token=b"Basic eA=="),
    ):
        found = head.repeated(data)
        assert found is not None
        parsed = Parsed(data)
        assert found == ({"type": "http", "headers": parsed.headers}, parsed.body)


def test_a_scope_is_a_copy() -> None:
    data = request()
    scope = scope_of(data)
    head = RepeatedHead.of(data, scope)
    assert head is not None
    scope["terminal"] = "of another scan"
    first = head.repeated(data)
    assert first is not None
    first[0]["terminal"] = "of this scan"
    first[0]["headers"].append((b"x", b"y"))
    assert head.repeated(data) == ({"type": "http", "headers": Parsed(data).headers}, BODY)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request(more=b"X-More: 1\r\n"), id="a line more"),
        pytest.param(request(more=b"Content-Length: 2\r\n"), id="two lengths"),
        pytest.param(request(more=b"Transfer-Encoding: chunked\r\n"), id="another framing"),
        pytest.param(request(line=b"POST /v1/cancel HTTP/1.1"), id="another path"),
        pytest.param(request(line=b"POST /v1/verify HTTP/1.0"), id="another version"),
        pytest.param(request(length=b"13"), id="shorter than its body"),
        pytest.param(request(length=b"15"), id="longer than its body"),
        pytest.param(request(length=b"+14"), id="a sign"),
        pytest.param(request(length=b"0x0e"), id="hexadecimal"),
        pytest.param(request(length=b"14 "), id="a blank behind the length"),
        pytest.param(request(length=b""), id="no length"),
        pytest.param(request(length="١٤".encode()), id="other digits"),
        pytest.param(request(key=b""), id="no key"),
        pytest.param(request(key=b"a b"), id="a blank in the key"),
        pytest.param(request(key=b"a\tb"), id="a tab in the key"),
        pytest.param(request(key=b"a\nX-Evil: 1"), id="a line feed in the key"),
        pytest.param(request(key=b"a\0b"), id="a zero byte in the key"),
        pytest.param(request(key=b"caf\xc3\xa9"), id="not ASCII"),
        pytest.param(request(key=b"k" * 256), id="a long key"),
        pytest.param(request(token=b"Bearer"), id="no token"),
        pytest.param(request(token=b"Bearer a\rb"), id="a carriage return in the token"),
        pytest.param(request() + request(), id="a second request behind it"),
        pytest.param(request()[:-1], id="a byte is still to come"),
        pytest.param(request().partition(b"\r\n\r\n")[0], id="a head that is not whole"),
        pytest.param(request().replace(b"Host:", b"host:"), id="a name in other letters"),
        pytest.param(request().replace(b"tong.example", b"evil.example"), id="another host"),
        pytest.param(b"\r\n" + request(), id="an empty line before it"),
    ],
)
def test_what_differs_otherwise_is_left_to_the_parser(data: bytes) -> None:
    head = kept(request())
    assert head.repeated(data) is None
    assert head.repeated(request()) is not None


@pytest.mark.parametrize(
    "data",
    [
        request(more=b"X-Trace: 1\r\nX-Trace: 2\r\n"),
        request().replace(b"Idempotency-Key: key-1\r\n", b""),
        request(key=b"key-1 "),
    ],
)
def test_a_head_that_cannot_be_compared_is_not_kept(data: bytes) -> None:
    assert RepeatedHead.of(data, scope_of(data)) is None


def test_whatever_is_taken_reads_as_the_parser_reads_it() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    draw = random.Random(seed)
    head, plain = kept(request()), request()
    taken = 0
    for _ in range(20_000):
        data = bytearray(plain)
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(data))
            piece = draw.choice((b"", b"\r\n", b"\n", b" ", b"\t", b":", b"\0", b"a", b"1", b"\xff", b"Host: b\r\n"))
            data[place : place + draw.randrange(3)] = piece
        found = head.repeated(bytes(data))
        if found is not None:
            parsed = Parsed(bytes(data))
            assert (found[0]["headers"], found[1], parsed.begun, parsed.whole) == (parsed.headers, parsed.body, 1, 1)
            taken += 1
    assert taken > 100, "the random requests must reach what they test"
