"""Keys of codes and of callers as they change while the stack runs: rotation, retirement, revocation, public keys."""

import asyncio
import base64
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jwt
import pytest

from gateway.administration.keys import create_key, revoke
from loadtest.stack import TONG
from tests.support.api.client import TongClient, client_of, fresh_key
from tests.support.api.problem import problem_of
from tests.support.servers.stack import Member, Stack, running_stack
from tests.support.suite.waiting import wait_until

ROTATED_SECONDS = 20.0
"""A new key signs ten seconds after it was made, when every worker has long read it."""


@pytest.fixture(scope="module")
async def signed() -> AsyncIterator[Stack]:
    """A stack whose codes are signed with EdDSA."""
    async with running_stack(workers=2, TONG_CODE_ALGORITHM="EdDSA") as running:
        yield running


async def command(stack: Stack, *arguments: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(TONG),
        *arguments,
        env=os.environ | {"TONG_HOME": str(stack.home)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, output.decode()
    return output.decode()


def header_of(code: str) -> dict[str, Any]:
    segment = code.partition(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return header


async def identity(tong: TongClient, stack: Stack, code: str) -> httpx2.Response:
    return await tong.verify(stack.terminals["hotel"], {"code": code}, fresh_key())


async def public_keys(tong: TongClient) -> list[dict[str, str]]:
    answer = await tong.http.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/jwk-set+json")
    keys: list[dict[str, str]] = answer.json()["keys"]
    return keys


async def test_a_code_is_checked_offline_with_the_public_keys_and_they_hold_nothing_private(signed: Stack) -> None:
    member = await signed.member(("hotel", 100, 1))
    async with client_of(signed) as tong:
        code, keys = await tong.code(member), await public_keys(tong)
        assert header_of(code)["alg"] == "EdDSA"
        for key in keys:
            assert set(key) <= {"kty", "crv", "x", "kid", "alg", "use", "key_ops"}
            assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
        found = jwt.PyJWKSet.from_dict({"keys": keys})[header_of(code)["kid"]]
        claims = jwt.decode(code, found, algorithms=["EdDSA"])
        assert claims["sub"] == str(member.number)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(code[:-8] + "AAAAAAAA", found, algorithms=["EdDSA"])
        assert (await identity(tong, signed, code)).status_code == 201


async def test_a_code_signed_with_the_public_key_as_a_secret_is_forged(signed: Stack) -> None:
    member = await signed.member(("hotel", 100, 1))
    async with client_of(signed) as tong:
        code = await tong.code(member)
        (public, *_) = await public_keys(tong)
        claims = jwt.decode(code, options={"verify_signature": False})
        secret = base64.urlsafe_b64decode(public["x"] + "=")
        attack = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": public["kid"], "typ": None})
        assert problem_of(await identity(tong, signed, attack))["code"] == "code_forged"
        assert (await identity(tong, signed, code)).status_code == 201


async def rotated(stack: Stack, tong: TongClient, member: Member, old: str) -> str:
    """Rotates from the command line; the new key id, once it signs."""
    said = await command(stack, "code-keys", "rotate", TONG_CODE_ALGORITHM=header_of(await tong.code(member))["alg"])

    async def other_kid() -> str | None:
        kid = str(header_of(await tong.code(member))["kid"])
        return None if kid == old else kid

    kid = await wait_until("the new key signs", other_kid, seconds=ROTATED_SECONDS)
    assert said.startswith(kid)
    return kid


async def test_keys_rotate_and_retire_without_a_restart(signed: Stack) -> None:
    member = await signed.member(("hotel", 100, 1))
    workers = signed.workers
    async with client_of(signed) as tong:
        held = await tong.codes(member, 5)  # the later ones outlive the rotation
        old = header_of(held[-1].code)["kid"]
        new = await rotated(signed, tong, member, old)
        assert {key["kid"] for key in await public_keys(tong)} == {old, new}
        assert header_of(held[-1].code)["kid"] == old
        for position in range(2):
            async with signed.only_worker(position), client_of(signed) as alone:
                assert (await identity(alone, signed, held[2 + position].code)).status_code == 201
                assert (await identity(alone, signed, await alone.code(member))).status_code == 201
        assert (await identity(tong, signed, (await tong.codes(member))[0].digits)).status_code == 201

        await command(signed, "code-keys", "retire", old, "--yes")

        async def refuses(http: httpx2.AsyncClient) -> bool:
            answer = await identity(TongClient(http), signed, held[4].code)
            return bool(problem_of(answer)["code"] == "code_forged") if answer.status_code != 201 else False

        async def forgot(http: httpx2.AsyncClient) -> bool:
            return [key["kid"] for key in await public_keys(TongClient(http))] == [new]

        await signed.until_every_worker("the old key is gone", forgot)
        await signed.until_every_worker("its codes are forged", refuses)
        assert (await identity(tong, signed, await tong.code(member))).status_code == 201
    assert signed.workers == workers, "nothing was restarted"


async def test_codes_signed_with_a_shared_secret_have_no_public_keys(stack: Stack, tong: TongClient) -> None:
    assert header_of(await tong.code(await stack.member(("hotel", 1, 1))))["alg"] == "HS256"
    assert await public_keys(tong) == []


async def test_a_revoked_key_stops_working_within_a_second_on_every_worker(stack: Stack) -> None:
    terminal = stack.terminals["spa"]
    key = await create_key(stack.settings, terminal.terminal_id, ())
    headers = {"authorization": f"Bearer {key}"}

    async def code_of(http: httpx2.AsyncClient) -> str:
        return str((await http.get("/v1/redemptions/none", headers=headers)).json()["code"])

    async def works(http: httpx2.AsyncClient) -> bool:
        return await code_of(http) == "not_found"

    await stack.until_every_worker("the key works", works)
    assert await revoke(stack.settings, key.split("_")[3])
    revoked = time.monotonic()
    await wait_until("a second is over", lambda: time.monotonic() > revoked + 1)
    for position in range(2):
        async with stack.only_worker(position), httpx2.AsyncClient(base_url=stack.base_url) as http:
            answer = await http.get("/v1/redemptions/none", headers=headers)
            assert problem_of(answer)["code"] == "terminal_revoked"
    assert not await revoke(stack.settings, key.split("_")[3]), "it is revoked once"


async def test_keys_are_made_listed_and_revoked_from_the_command_line_and_shown_once(stack: Stack) -> None:
    demo, terminal = stack.demo, stack.terminals["gym"]
    servers = {"TONG_VALKEY_URL": demo["valkey_url"], "TONG_POSTGRES_DSN": demo["postgres_dsn"]}
    key = (await command(stack, "keys", "create", "--terminal", terminal.terminal_id, **servers)).strip()
    assert key.startswith("tong_tk_dev_")
    _, _, _, key_id, secret = key.split("_")
    listed = await command(stack, "keys", "list", **servers)
    assert key_id in listed
    assert secret not in listed
    async with stack.ledger() as connection:
        stored = await connection.fetch("SELECT api_key::text AS everything FROM api_key")
    assert all(secret not in row["everything"] for row in stored)
    assert (await command(stack, "keys", "revoke", key_id, "--yes", **servers)).count("\n") == 1


@pytest.mark.parametrize("spoil", ["other member", "short", "long", "none", "expired"])
async def test_an_access_token_that_is_not_the_issuers_is_refused(stack: Stack, tong: TongClient, spoil: str) -> None:
    member = await stack.member(("hotel", 1, 1))
    header, payload, signature = member.access_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["sub"] = "mem_0000001"
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    token = {
        "other member": f"{header}.{other}.{signature}",
        "short": f"{header}.{payload}",
        "long": f"{member.access_token}.{signature}",
        "none": jwt.encode(claims, "", algorithm="none"),
        "expired": stack.access_token(member.number, -3_600) if spoil == "expired" else "",
    }[spoil]
    for method, path in (("GET", "/v1/me"), ("POST", "/v1/me/codes")):
        answer = await tong.http.request(method, path, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, problem_of(answer)["code"]) == (401, "unauthenticated")
