"""What every answer says to a browser, on every path and however it came about; cross-origin reading is closed."""

import socket
from urllib.parse import urlsplit

import pytest

from gateway.server.routes import OPERATIONS
from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.servers.stack import Stack

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
PUBLIC = {"/openapi.json"}
"""The one answer that other sites' scripts may read: it is the same for everybody."""
ORIGIN = {"origin": "https://elsewhere.example"}
PATHS = sorted({call.path for call in OPERATIONS} | {"/", "/v1", "/nothing", "/app/", "/scanner/", "/ops/"})


def concrete(path: str) -> str:
    return "/".join("none" if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_carries_each_security_header_once_and_lets_no_other_site_read_it(
    tong: TongClient, path: str
) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = await tong.http.request(method, concrete(path), headers=ORIGIN)
        assert answer.status_code < 500 or answer.status_code == 503, (method, answer.status_code)
        for name, value in ALWAYS.items():
            assert answer.headers.get_list(name) == [value], (method, name)
        assert len(answer.headers.get_list("cache-control")) == 1, method
        allowed = [name for name in answer.headers if name.startswith("access-control-")]
        assert allowed == (["access-control-allow-origin"] if path in PUBLIC and answer.is_success else []), method
        assert "set-cookie" not in answer.headers, "there is nothing a browser would send by itself"
        assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/me", "/v1/me/codes", "/v1/prepare"])
async def test_a_browsers_preflight_is_answered_as_any_method_that_is_not_there(tong: TongClient, path: str) -> None:
    preflight = {**ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    answer = await tong.http.options(path, headers=preflight)
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_answers_of_a_scan_carry_them_too_and_are_nobodys_copy(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 1))
    applied = await tong.verify(
        stack.terminals["hotel"], b'{"code":"%s"}' % (await tong.code(member)).encode(), fresh_key()
    )
    refused = await tong.verify(stack.terminals["hotel"], b"{}", fresh_key())
    for answer, status in ((applied, 201), (refused, 400)):
        assert answer.status_code == status
        assert {name: answer.headers.get_list(name) for name in ALWAYS} == {name: [v] for name, v in ALWAYS.items()}
        assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000])
def test_an_answer_to_what_is_no_request_carries_them_too(stack: Stack, sent: bytes) -> None:
    address = urlsplit(stack.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as line:
        line.sendall(sent)
        head = b""
        while chunk := line.recv(65_536):
            head += chunk
    lines = head.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    assert lines[0].startswith("http/1.1 400")
    for name, value in ALWAYS.items():
        assert lines.count(f"{name}: {value}") == 1
