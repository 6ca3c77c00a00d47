"""API keys over their life: scopes, an end, rotation with overlap, revocation, last use, and the commands for it."""

import asyncio
import base64
import json
import os
import re
import subprocess
import time
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from gateway.administration.keys import KeyWanted, create_key, make_key, read_stored_keys, revoke, rotate
from gateway.cli.keys import key_table
from gateway.server.lifespan import NOTE_SECONDS, running
from loadtest.stack import TONG
from redemption import rights
from redemption.credentials import CredentialRefused, NotRotated, UnknownScope, note_use
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.servers.stack import Stack
from tests.support.servers.store_users import ledger_as
from tests.support.suite.waiting import wait_until


def id_of(key: str) -> str:
    return key.split("_")[3]


async def said_of(http: httpx2.AsyncClient, key: str) -> str:
    """What a look-up of nothing says: `not_found` means that the key works."""
    answer = await http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {key}"})
    return str(problem_of(answer)["code"])


async def until_known(stack: Stack, key: str) -> None:
    async def works(http: httpx2.AsyncClient) -> bool:
        return await said_of(http, key) == "not_found"

    await stack.until_every_worker("the key works", works)


@pytest.mark.parametrize("scope", ["redeem", "hold", "refund", "accrue"])
async def test_a_key_with_one_scope_may_do_that_and_is_told_which_one_it_lacks(
    stack: Stack, tong: TongClient, scope: str
) -> None:
    hotel = stack.terminals["hotel"]
    made = await make_key(stack.settings, KeyWanted(hotel.terminal_id, scopes=(scope,)))
    await until_known(stack, made.text)
    member = await stack.member(("hotel", 1_000, 1))
    full = {"authorization": f"Bearer {hotel.api_key}", "content-type": "application/json"}
    own = {**full, "authorization": f"Bearer {made.text}"}

    async def hold(headers: dict[str, str]) -> httpx2.Response:
        content = {"code": await tong.code(member), "legs": [points_leg(1)], "bill": bill(), "capture": False}
        keyed = {**headers, "idempotency-key": fresh_key()}
        return await tong.http.post("/v1/verify", json={**content, "confirm_duplicate": True}, headers=keyed)

    async def post(path: str, content: dict[str, Any], headers: dict[str, str] = own) -> httpx2.Response:
        return await tong.http.post(path, json=content, headers={**headers, "idempotency-key": fresh_key()})

    held, captured = (await hold(full)).json()["redemption_id"], (await hold(full)).json()["redemption_id"]
    assert (await post(f"/v1/redemptions/{captured}/capture", {}, full)).status_code == 200
    scan = {"code": await tong.code(member), "legs": [points_leg(1)], "confirm_duplicate": True}
    earned = await post("/v1/accruals", {"member_id": member.member_id, "bill": bill(reference=fresh_key())}, full)
    answers = {
        "redeem": [await post("/v1/verify", scan)],
        "hold": [await hold(own), await post(f"/v1/redemptions/{held}/void", {})],
        "refund": [await post(f"/v1/redemptions/{captured}/refund", {})],
        "accrue": [
            await post("/v1/accruals", {"member_id": member.member_id, "bill": bill(reference=fresh_key())}),
            await post(f"/v1/accruals/{earned.json()['accrual_id']}/reverse", {}),
        ],
    }
    for needed, given in answers.items():
        for answer in given:
            if needed == scope:
                assert answer.is_success, answer.text
            else:
                problem = problem_of(answer)
                assert (answer.status_code, problem["code"], problem["scope"]) == (403, "forbidden", needed)
    may_scan = scope in ("redeem", "hold")
    for path, content in (
        ("/v1/prepare", {"code": await tong.code(member)}),
        ("/v1/cancel", {"idempotency_key": fresh_key(), "code": await tong.code(member)}),
    ):
        assert ((await post(path, content)).status_code == 403) is not may_scan, path
    assert await said_of(tong.http, made.text) == "not_found", "looking up needs no scope"


async def test_a_key_ends_at_its_time_and_not_before(stack: Stack, tong: TongClient) -> None:
    terminal = stack.terminals["gym"].terminal_id
    made = await make_key(stack.settings, KeyWanted(terminal, lifetime=timedelta(hours=1)))
    await until_known(stack, made.text)
    moved = time.monotonic()
    async with stack.ledger() as ledger:
        await ledger.execute(
            "UPDATE api_key SET expires_at = clock_timestamp() + interval '2 seconds' WHERE key_id = $1",
            id_of(made.text),
        )

    async def is_over(http: httpx2.AsyncClient) -> bool:
        said = await said_of(http, made.text)
        assert said != "terminal_revoked" or time.monotonic() >= moved + 2, "it ended before its time"
        return said == "terminal_revoked"

    await stack.until_every_worker("the key's time is over", is_over)
    assert await said_of(tong.http, stack.terminals["gym"].api_key) == "not_found"


async def test_while_a_rotation_overlaps_both_keys_work_and_then_only_the_new_one(stack: Stack) -> None:
    old = await create_key(stack.settings, stack.terminals["spa"].terminal_id, ())
    await until_known(stack, old)
    began = time.monotonic()
    new = await rotate(stack.settings, id_of(old), timedelta(seconds=4))
    rotated = time.monotonic()
    await until_known(stack, new.text)
    assert new.ends is not None
    for position in range(2):
        async with stack.only_worker(position), httpx2.AsyncClient(base_url=stack.base_url) as alone:
            said = {await said_of(alone, key) for key in (old, new.text)}
            # A machine that took as long as the overlap to come here shows nothing wrong.
            assert said == {"not_found"} or time.monotonic() >= began + 4
    await wait_until("the overlap is over", lambda: time.monotonic() > rotated + 4.5)
    for position in range(2):
        async with stack.only_worker(position), httpx2.AsyncClient(base_url=stack.base_url) as alone:
            assert (await said_of(alone, old), await said_of(alone, new.text)) == ("terminal_revoked", "not_found")
    stored = {key.key_id: key for key in await read_stored_keys(stack.settings)}
    assert stored[id_of(new.text)].replaces == id_of(old)
    assert stored[id_of(old)].expires_at is not None
    listed = key_table(list(stored.values()))
    assert re.search(rf"{id_of(new.text)} .* {id_of(old)} ", "\n".join(listed))


async def test_a_rotated_key_keeps_scopes_roles_business_and_the_way_it_signs(stack: Stack) -> None:
    terminal = stack.terminals["spa"].terminal_id
    signing = await make_key(stack.settings, KeyWanted(terminal, scopes=("refund",), signature="hmac-sha256"))
    admin = await make_key(stack.settings, KeyWanted(None, roles=("settlement",), business="spa"))
    fresh = [await rotate(stack.settings, id_of(key.text), timedelta(0)) for key in (signing, admin)]
    assert fresh[0].signing_secret not in (None, signing.signing_secret), "the new secret is another one"
    async with stack.ledger() as ledger:
        rows = [
            [
                await ledger.fetchrow(
                    "SELECT kind, terminal_id, roles, business_id, scopes, signature_algorithm FROM api_key"
                    " WHERE key_id = $1",
                    id_of(text),
                )
                for text in pair
            ]
            for pair in ((signing.text, fresh[0].text), (admin.text, fresh[1].text))
        ]
    assert rows[0][0] == rows[0][1]
    assert rows[1][0] == rows[1][1]


async def test_what_cannot_be_rotated_or_made_is_refused_and_changes_nothing(stack: Stack) -> None:
    terminal = stack.terminals["spa"].terminal_id
    gone = await create_key(stack.settings, terminal, ())
    assert await revoke(stack.settings, id_of(gone))
    before = await read_stored_keys(stack.settings)
    for key_id, overlap in ((id_of(gone), 1), ("AAAAAAAAAAAA", 1), (id_of(stack.terminals["gym"].api_key), 91 * 24)):
        with pytest.raises(NotRotated):
            await rotate(stack.settings, key_id, timedelta(hours=overlap))
    with pytest.raises(UnknownScope):
        await make_key(stack.settings, KeyWanted(terminal, scopes=("everything",)))
    for wanted in (
        KeyWanted(None, roles=("settlement",), signature="hmac-sha256"),
        KeyWanted(terminal, signature="ed25519"),
        KeyWanted(terminal, signature="ed25519", public_key=b"short"),
    ):
        with pytest.raises(CredentialRefused):
            await make_key(stack.settings, wanted)
    assert await read_stored_keys(stack.settings) == before


async def test_when_a_key_was_last_used_is_noted_by_the_gateways_role_and_listed(stack: Stack) -> None:
    key = await create_key(stack.settings, stack.terminals["spa"].terminal_id, ())
    async with ledger_as(stack, rights.GATEWAY) as ledger:
        await note_use(ledger, {id_of(key), "AAAAAAAAAAAA"})
        await note_use(ledger, {id_of(key)})
    (used,) = [stored for stored in await read_stored_keys(stack.settings) if stored.key_id == id_of(key)]
    assert used.last_used_at is not None


async def test_a_worker_notes_once_a_minute_which_keys_were_used(stack: Stack) -> None:
    key = await create_key(stack.settings, stack.terminals["spa"].terminal_id, ())
    ahead = 0.0

    async def last_used() -> datetime | None:
        async with stack.ledger() as ledger:
            row: datetime | None = await ledger.fetchval(
                "SELECT last_used_at FROM api_key_use WHERE key_id = $1", id_of(key)
            )
            return row

    async def noted_other_than(before: datetime | None) -> datetime:
        async def noted() -> datetime | None:
            found = await last_used()
            return None if found == before else found

        return await wait_until("the use of the key is noted", noted)

    async with running(stack.settings, lambda: time.time() + ahead) as state:
        state.authenticator.holder(f"Bearer {key}")
        assert await last_used() is None
        ahead = NOTE_SECONDS
        noted = await noted_other_than(None)
        assert state.authenticator.take_used() == set()
        # Used again within the minute: it is kept for the next note, and that one is made.
        state.authenticator.holder(f"Bearer {key}")
        ahead = 2 * NOTE_SECONDS + 30
        assert await noted_other_than(noted)


async def command(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    servers = {"TONG_VALKEY_URL": stack.demo["valkey_url"], "TONG_POSTGRES_DSN": stack.demo["postgres_dsn"]}
    process = await asyncio.create_subprocess_exec(
        str(TONG),
        *arguments,
        env=os.environ | {"TONG_HOME": str(stack.home)} | servers,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_keys_are_made_and_rotated_from_the_command_line_and_secrets_are_shown_once(stack: Stack) -> None:
    terminal = stack.terminals["spa"].terminal_id
    status, shown, _ = await command(
        stack, "keys", "create", "--terminal", terminal, "--scopes", "redeem,hold", "--signature", "hmac-sha256"
    )
    assert status == 0
    key, secret = shown.splitlines()
    assert len(base64.b64decode(secret.removeprefix("signing secret, base64: "))) == 32
    rotate = ("keys", "rotate", id_of(key), "--overlap", "2h")
    status, again, said = await command(stack, *rotate, "--yes")
    assert status == 0
    assert re.search(rf"{id_of(key)} ends \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", said)
    _, listed, _ = await command(stack, "keys", "list")
    assert re.search(rf"{id_of(key)} .* redeem,hold +hmac-sha256", listed)
    fresh, fresh_secret = again.splitlines()
    for shown_once in (key, secret[-44:], key.split("_")[4], fresh, fresh_secret[-44:], fresh.split("_")[4]):
        assert shown_once not in listed
    for wrong in (
        ("rotate", id_of(key), "--overlap", "soon"),
        ("rotate", "AAAAAAAAAAAA"),
        ("create", "--terminal", terminal, "--roles", "settlement"),
        ("create", "--roles", "settlement", "--scopes", "redeem"),
        ("create", "--terminal", terminal, "--public-key", "not base64!", "--signature", "ed25519"),
    ):
        status, output, said = await command(stack, "keys", *wrong)
        assert status != 0
        assert output == ""
        assert "Traceback" not in said
    status, admin, _ = await command(stack, "keys", "create", "--roles", "settlement,operations", "--business", "spa")
    assert admin.startswith("tong_ak_dev_")


async def test_the_members_of_a_problem_about_a_key_say_nothing_of_the_key(stack: Stack, tong: TongClient) -> None:
    key = await create_key(stack.settings, stack.terminals["spa"].terminal_id, ())
    for spoilt in (key[:-1], key[:-1] + ("a" if key[-1] != "a" else "b"), key.replace("_dev_", "_live_")):
        answer = await tong.http.get("/v1/redemptions/none", headers={"authorization": f"Bearer {spoilt}"})
        assert answer.status_code == 401
        assert id_of(key) not in json.dumps(answer.json())
