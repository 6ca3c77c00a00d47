"""docs/errors.md and docs/integrate.md: the one is the table of problems, the other's snippets work as they stand."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.calls import CALLS
from gateway.problems import KINDS
from tests.support.client import TongClient, bill, fresh_key, points_leg
from tests.support.errors_document import TILL_DOES, render
from tests.support.openapi import wealthy_member
from tests.support.proxy import FaultProxy
from tests.support.stack import Member, Stack

DOCS = Path(__file__).parents[2] / "docs"
INTEGRATE = (DOCS / "integrate.md").read_text(encoding="utf-8")
SNIPPET_SECONDS = 60.0


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", INTEGRATE, re.MULTILINE | re.DOTALL)


def test_the_list_of_refusals_is_made_of_the_table_of_problems() -> None:
    assert set(TILL_DOES) == set(KINDS)
    told = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert told == render(), "make it anew: python -m tests.support.errors_document > docs/errors.md"


def test_every_path_that_the_guide_names_exists() -> None:
    known = {re.sub(r"\{\w+\}", "{id}", call.path) for call in CALLS}
    named = {re.sub(r"\$\w+", "{id}", path) for path in re.findall(r"/v1/[a-z/{}$A-Z]+[a-zA-Z}]", INTEGRATE)}
    assert named <= known, named - known


def test_a_till_is_about_twenty_lines() -> None:
    (till,) = snippets("python")
    assert len(till[: till.index("\nbill = ")].strip().splitlines()) <= 22


async def run(stack: Stack, tong: TongClient, member: Member, *command: str, tong_url: str | None = None) -> str:
    """Runs a snippet as a reader would, in a shell where the names of the guide are set; what it printed."""
    till = stack.terminals["hotel"]
    taken = await tong.verify(till, {"code": await tong.code(member), "legs": [points_leg(80)]}, fresh_key())
    assert taken.status_code == 201, taken.text
    process = await asyncio.create_subprocess_exec(
        *command,
        env={
            "PATH": "/usr/bin:/bin",
            "TONG": tong_url or stack.base_url,
            "TERMINAL_KEY": till.api_key,
            "ACCESS_TOKEN": member.access_token,
            "CODE": await tong.code(member),
            "REDEMPTION": taken.json()["redemption_id"],
            "MEMBER": member.member_id,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SNIPPET_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_till_in_python_charges_what_is_left_to_pay(stack: Stack, tong: TongClient) -> None:
    (till,) = snippets("python")
    member = await wealthy_member(stack)
    answer = json.loads(await run(stack, tong, member, sys.executable, "-c", till))
    assert answer["bill"]["payable_minor"] == 25_600


async def test_the_till_in_python_pays_once_when_the_answer_is_cut_off(stack: Stack, tong: TongClient) -> None:
    (till,) = snippets("python")
    port = urlsplit(stack.base_url).port
    assert port is not None
    for cut_after in (0, 9, 300, 450):
        member = await wealthy_member(stack)
        async with FaultProxy(port) as proxy:
            proxy.reply_bytes_before_cut = cut_after
            address = f"http://127.0.0.1:{proxy.port}"
            answer = json.loads(await run(stack, tong, member, sys.executable, "-c", till, tong_url=address))
            assert proxy.connections_made == 2, "it asked again"
        assert answer["status"] == "captured"
        assert await tong.points(member) == 5_000 - 80 - 200


async def test_the_till_in_python_gives_up_with_a_cancel(stack: Stack, tong: TongClient) -> None:
    (till,) = snippets("python")
    member = await wealthy_member(stack)
    given_up = till.replace("range(6)", 'range(6 if path == "/v1/cancel" else 0)')
    answer = json.loads(await run(stack, tong, member, sys.executable, "-c", given_up))
    assert answer == {"effect": "tombstoned", "redemption": None}


def _captured(answer: dict[str, Any]) -> bool:
    return bool(answer["status"] == "captured")


WANTED: list[tuple[str, Callable[[dict[str, Any]], bool]]] = [
    ("/v1/verify", lambda answer: answer["bill"]["payable_minor"] == 18_300),
    ("/v1/cancel", lambda answer: answer["effect"] == "tombstoned"),
    ("/v1/prepare", lambda answer: bool(answer["best"]["legs"])),
    ("/capture", lambda answer: _captured(answer) and answer["legs"][0]["captured_points"] == 250),
    ("/refund", lambda answer: answer["status"] == "partially_refunded"),
    ("/v1/accruals", lambda answer: answer["points"] > 0),
    ("/v1/me/codes", lambda answer: len(answer["codes"]) == 3),
    ("bill_reference=", lambda answer: "redemptions" in answer),
    ("/v1/settlement/reconciliations", lambda answer: answer["rows"] == 1),
]


@pytest.mark.parametrize(("position", "names"), [(i, names) for i, (names, _) in enumerate(WANTED)])
async def test_the_commands_of_the_guide_work_as_they_stand(
    stack: Stack, tong: TongClient, position: int, names: str
) -> None:
    commands = snippets("sh")
    assert len(commands) == len(WANTED)
    assert names in commands[position]
    member = await wealthy_member(stack)
    said = await run(stack, tong, member, "sh", "-c", commands[position])
    answer, _ = json.JSONDecoder().raw_decode(said)
    assert "retry" not in answer, said
    assert WANTED[position][1](answer), said


async def test_what_is_found_by_a_bills_reference_is_what_was_taken(stack: Stack, tong: TongClient) -> None:
    member = await wealthy_member(stack)
    till = stack.terminals["hotel"]
    reference = f"GUIDE-{member.number}"
    body = {"code": await tong.code(member), "bill": bill(reference=reference), "legs": [points_leg(90)]}
    taken = (await tong.verify(till, body, fresh_key())).json()
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not found:
            answer = await tong.http.get(
                "/v1/redemptions",
                params={"bill_reference": reference},
                headers={"authorization": f"Bearer {till.api_key}"},
            )
            found = answer.json()["redemptions"]
            await asyncio.sleep(0.02)
    assert [each["redemption_id"] for each in found] == [taken["redemption_id"]]
