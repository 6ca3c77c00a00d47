"""What scanners, keyboards and input methods really send, on every call that takes a code."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from redemption.domain.limits import GUESSES_PER_TERMINAL
from tests.support.api.client import Code, TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.servers.stack import Stack, Terminal
from tokens.claims import slot_at
from tokens.codec import CodeIssuer
from tokens.keyring import KeyRing

WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
SENT: dict[str, Callable[[Code], str]] = {
    "as the member page shows the digits": lambda code: " ".join(code.digits[at : at + 3] for at in range(0, 18, 3)),
    "with hyphens": lambda code: "-".join(code.digits[at : at + 6] for at in range(0, 18, 6)),
    "full width": lambda code: code.digits.translate(WIDE),
    "full width in groups": lambda code: f"{code.digits[:9].translate(WIDE)}\u3000{code.digits[9:].translate(WIDE)}",
    "Code 128 with its identifier": lambda code: f"]C0{code.digits}",
    "a byte order mark before": lambda code: f"\ufeff{code.digits}",
    "a group separator behind": lambda code: f"{code.digits}\x1d",
    "QR with its identifier": lambda code: f"]Q1{code.code}",
    "Data Matrix, framed": lambda code: f"\x02]d2{code.code}\x1e\x04\r\n",
    "a zero-width space around": lambda code: f"\u200b{code.code}\u200b",
}
PATHS: dict[str, Callable[[str], dict[str, Any]]] = {
    "verify": lambda code: {"code": code, "bill": bill(), "legs": [points_leg(1)], "confirm_duplicate": True},
    "prepare": lambda code: {"code": code},
    "accruals": lambda code: {"code": code, "bill": bill(reference=fresh_key())},
    "cancel": lambda code: {"code": code, "idempotency_key": fresh_key()},
}


async def ask(tong: TongClient, till: Terminal, path: str, body: dict[str, Any], key: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {till.api_key}", "idempotency-key": key}
    return await tong.http.post(f"/v1/{path}", json=body, headers=headers)


@pytest.mark.parametrize("sent", SENT)
async def test_a_code_is_taken_as_scanners_and_keyboards_send_it(stack: Stack, tong: TongClient, sent: str) -> None:
    member, till = await stack.member(("hotel", 500, 2)), stack.terminals["hotel"]
    for path, body in PATHS.items():
        (code,) = await tong.codes(member)
        content, key = body(SENT[sent](code)), fresh_key()
        first = await ask(tong, till, path, content, key)
        assert first.status_code in {200, 201}, f"{path}: {first.text}"
        if path in {"verify", "accruals"}:
            assert (await ask(tong, till, path, content, key)).content == first.content
            used = await ask(tong, till, "verify", {"code": code.code}, fresh_key())
            assert problem_of(used)["code"] == "code_used", "it was that very code"
            plain = await ask(tong, till, path, body(code.digits), key)
            assert problem_of(plain)["code"] == "idempotency_key_reused", "a repeat is compared as it is sent"


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_no_code_stays_none(stack: Stack, tong: TongClient, path: str) -> None:
    member, till = await stack.member(("hotel", 500, 2)), stack.terminals["hotel"]
    (code,) = await tong.codes(member)
    for wrong in (
        f"]Q1]Q1{code.code}",
        f"{code.code[:7]} {code.code[7:]}",
        f"{code.digits[:17]}",
        f"{code.digits}\x00",
        f"]{code.code}",
        "\ufeff",
        "]C1",
        "]C0\u3000",
    ):
        refused = problem_of(await ask(tong, till, path, PATHS[path](wrong), fresh_key()))
        assert refused["code"] == "code_malformed", ascii(wrong)
    flipped = code.code[:-6] + ("A" if code.code[-6] != "A" else "B") + code.code[-5:]
    assert problem_of(await ask(tong, till, path, PATHS[path](flipped), fresh_key()))["code"] == "code_forged"


async def test_a_guess_in_full_width_or_with_an_identifier_is_a_guess(stack: Stack, tong: TongClient) -> None:
    till = await stack.terminal("scanned-guesses")
    elsewhere = CodeIssuer(KeyRing.create("other", "HS256"), "HS256", lambda: 1_795_350_000.0)
    for number in range(GUESSES_PER_TERMINAL):
        digits = elsewhere.issue(number, slot_at(1_795_350_000.0)).digits
        guess = (digits.translate(WIDE), f"]C1{digits}", f"{digits[:6]} {digits[6:]}", f"\ufeff{digits}")[number % 4]
        path = tuple(PATHS)[number // 4 % 4]
        assert problem_of(await ask(tong, till, path, PATHS[path](guess), fresh_key()))["code"] == "code_forged"
    (code,) = await tong.codes(await stack.member(("hotel", 500, 2)))
    limited = await ask(tong, till, "verify", {"code": code.digits.translate(WIDE)}, fresh_key())
    assert problem_of(limited)["code"] == "rate_limited"
