"""Keys whose requests must be signed: unsigned and wrong ones are refused, a captured request is but a repeat."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.administration.keys import KeyWanted, make_key
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.api.signing import Signer
from tests.support.servers.stack import Member, Stack, Terminal
from tokens import api_keys


async def signing_till(stack: Stack, algorithm: str) -> tuple[Terminal, Signer]:
    """The hotel's till with a key of its own that signs by the algorithm, once every worker knows it."""
    hotel = stack.terminals["hotel"]
    private = Ed25519PrivateKey.generate()
    if algorithm == "ed25519":
        public = Signer("", private).public_key
        made = await make_key(stack.settings, KeyWanted(hotel.terminal_id, signature="ed25519", public_key=public))
        assert made.signing_secret is None
    else:
        made = await make_key(stack.settings, KeyWanted(hotel.terminal_id, signature="hmac-sha256"))
        assert made.signing_secret is not None
    key_id = made.text.split("_")[3]
    signer = Signer(key_id, private) if algorithm == "ed25519" else Signer(key_id, secret=made.signing_secret)
    till = Terminal(hotel.business, hotel.outlet, hotel.terminal_id, made.text)

    async def known(http: httpx2.AsyncClient) -> bool:
        answer = await http.get(
            "/v1/redemptions/none",
            headers={"authorization": f"Bearer {made.text}", **signer.headers("GET", "/v1/redemptions/none")},
        )
        return answer.status_code == 404

    await stack.until_every_worker("knows the key", known)
    return till, signer


@pytest.fixture(scope="module")
async def signing(stack: Stack) -> tuple[Terminal, Signer]:
    """One till that signs, for all tests that only read what is refused."""
    return await signing_till(stack, "ed25519")


async def scan_body(tong: TongClient, member: Member) -> bytes:
    return json.dumps({"code": await tong.code(member), "legs": [points_leg(10)], "bill": bill()}).encode()


@pytest.mark.parametrize("algorithm", ["ed25519", "hmac-sha256"])
async def test_a_signed_scan_is_applied_and_an_unsigned_one_is_told_what_is_missing(
    stack: Stack, tong: TongClient, algorithm: str
) -> None:
    till, signer = await signing_till(stack, algorithm)
    member = await stack.member(("hotel", 100, 1))
    body, key = await scan_body(tong, member), fresh_key()
    refused = await tong.verify(till, body, key)
    assert (refused.status_code, problem_of(refused)["code"]) == (401, "unauthenticated")
    assert "Signature-Input" in problem_of(refused)["detail"]
    applied = await tong.verify(till, body, key, signer.headers("POST", "/v1/verify", body, key))
    assert applied.status_code == 201, applied.text
    assert await tong.points(member) == 90


async def test_every_call_of_a_till_works_signed(stack: Stack, tong: TongClient) -> None:
    till, signer = await signing_till(stack, "ed25519")
    member = await stack.member(("hotel", 100, 1))

    async def call(method: str, target: str, content: Any = None, key: str | None = None) -> httpx2.Response:
        body = b"" if content is None else json.dumps(content).encode()
        headers = {"authorization": f"Bearer {till.api_key}", "content-type": "application/json"}
        return await tong.http.request(
            method, target, content=body, headers={**headers, **signer.headers(method, target, body, key)}
        )

    assert (await call("POST", "/v1/prepare", {"code": await tong.code(member)})).status_code == 200
    hold = await call(
        "POST",
        "/v1/verify",
        {"code": await tong.code(member), "legs": [points_leg(10)], "bill": bill(), "capture": False},
        fresh_key(),
    )
    assert hold.status_code == 201, hold.text
    name = hold.json()["redemption_id"]
    assert (await call("GET", f"/v1/redemptions/{name}")).status_code == 200
    assert (await call("GET", "/v1/redemptions?bill_reference=none")).status_code == 200
    assert (await call("POST", f"/v1/redemptions/{name}/capture", key=fresh_key())).status_code == 200
    assert (await call("POST", f"/v1/redemptions/{name}/refund", {}, fresh_key())).status_code == 200
    purchase = {"member_id": member.member_id, "bill": bill(reference=fresh_key())}
    accrual = await call("POST", "/v1/accruals", purchase, fresh_key())
    assert accrual.status_code == 201, accrual.text
    assert (await call("POST", "/v1/cancel", {"redemption_id": name})).status_code in (200, 409)
    unkeyed = await call("POST", f"/v1/redemptions/{name}/void")
    assert (unkeyed.status_code, problem_of(unkeyed)["code"]) == (401, "unauthenticated")
    assert '"idempotency-key"' in problem_of(unkeyed)["detail"], "else sending it again could act again"


async def test_a_captured_request_that_is_sent_again_gets_the_first_answer_and_changes_nothing(
    stack: Stack, tong: TongClient
) -> None:
    till, signer = await signing_till(stack, "ed25519")
    member = await stack.member(("hotel", 100, 1))
    body, key = await scan_body(tong, member), fresh_key()
    captured = signer.headers("POST", "/v1/verify", body, key)
    first = await tong.verify(till, body, key, captured)
    again = await tong.verify(till, body, key, captured)
    assert (first.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert await tong.points(member) == 90
    stolen = await tong.verify(till, body, fresh_key(), {**captured, "idempotency-key": fresh_key()})
    assert problem_of(stolen)["code"] == "unauthenticated"


async def test_what_the_database_holds_of_a_signing_key_opens_nothing_by_itself(stack: Stack, tong: TongClient) -> None:
    till, _ = await signing_till(stack, "hmac-sha256")
    key_id = till.api_key.split("_")[3]
    async with stack.ledger() as ledger:
        row = await ledger.fetchrow("SELECT fingerprint, signature_key FROM api_key WHERE key_id = $1", key_id)
    assert row is not None
    signer = Signer(key_id, secret=row["signature_key"])
    path = "/v1/redemptions/none"
    another = api_keys.mint(api_keys.KeyKind.TERMINAL, "dev").text.split("_")[4]
    for credential in (f"tong_tk_dev_{key_id}_{another}", row["fingerprint"].hex(), key_id):
        answer = await tong.http.get(
            path, headers={"authorization": f"Bearer {credential}", **signer.headers("GET", path)}
        )
        assert (answer.status_code, problem_of(answer)["code"]) == (401, "unauthenticated")
    answer = await tong.http.get(
        path, headers={"authorization": f"Bearer {till.api_key}", **signer.headers("GET", path)}
    )
    assert problem_of(answer)["code"] == "not_found", "with the key that a till holds it is a signature like another"


Spoil = Callable[[Signer, bytes, str], dict[str, str]]
SPOILT: dict[str, Spoil] = {
    "of another path": lambda s, b, k: s.headers("POST", "/v1/accruals", b, k),
    "of another method": lambda s, b, k: s.headers("PUT", "/v1/verify", b, k),
    "of another body": lambda s, b, k: s.headers("POST", "/v1/verify", b + b" ", k),
    "of another key": lambda s, b, k: {**s.headers("POST", "/v1/verify", b, "other"), "idempotency-key": k},
    "with a digest that was put in its place": lambda s, b, k: {
        **s.headers("POST", "/v1/verify", b + b" ", k),
        "content-digest": s.headers("POST", "/v1/verify", b)["content-digest"],
    },
    "that leaves the path out": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, leave_out="@path"),
    "that leaves the method out": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, leave_out="@method"),
    "that leaves the digest out": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, leave_out="content-digest"),
    "that leaves the key out": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, leave_out="idempotency-key"),
    "from six minutes ago": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, created=time.time() - 360),
    "from the future": lambda s, b, k: s.headers("POST", "/v1/verify", b, k, created=time.time() + 90),
    "by another till": lambda s, b, k: Signer("AAAAAAAAAAAA", s.private).headers("POST", "/v1/verify", b, k),
    "by another private key": lambda s, b, k: Signer(s.key_id, Ed25519PrivateKey.generate()).headers(
        "POST", "/v1/verify", b, k
    ),
    "by HMAC with the public key": lambda s, b, k: Signer(s.key_id, secret=s.public_key).headers(
        "POST", "/v1/verify", b, k
    ),
    "that is no structured field": lambda s, b, k: {**s.headers("POST", "/v1/verify", b, k), "signature": "\\((("},
    "that is very long": lambda s, b, k: {**s.headers("POST", "/v1/verify", b, k), "signature": "x" * 4_000},
    "without its input": lambda s, b, k: {
        name: value for name, value in s.headers("POST", "/v1/verify", b, k).items() if name != "signature-input"
    },
}


@pytest.mark.parametrize("how", sorted(SPOILT))
async def test_a_signature_is_refused(
    stack: Stack, tong: TongClient, signing: tuple[Terminal, Signer], how: str
) -> None:
    till, signer = signing
    member = await stack.member(("hotel", 100, 1))
    body, key = await scan_body(tong, member), fresh_key()
    answer = await tong.verify(till, body, key, SPOILT[how](signer, body, key))
    assert (answer.status_code, problem_of(answer)["code"]) == (401, "unauthenticated")
    assert await tong.points(member) == 100


async def test_a_terminal_that_does_not_sign_may_send_what_it_likes_in_those_headers(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 100, 1))
    body = await scan_body(tong, member)
    answer = await tong.verify(stack.terminals["hotel"], body, fresh_key(), {"signature": "x", "signature-input": "y"})
    assert answer.status_code == 201
