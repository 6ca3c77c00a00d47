"""The tills of docs/start/integrate.md, as printed, behind a proxy that answers for the gateway or loses its answers.

Whatever the proxy does, the member pays once or not at all, and the till says which.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from tests.support.api.client import TongClient
from tests.support.api.guide import ROOT, blocks_of
from tests.support.api.guide_clients import node_path
from tests.support.api.openapi import wealthy_member
from tests.support.servers.http_faults import Fault, HttpFaults
from tests.support.servers.stack import Member, Stack

TILLS = ("till.py", "till.mjs")
POINTS = {"till.py": 200, "till.mjs": 250}
ATTEMPTS = 7
SECONDS = 100.0


async def sell(
    folder: Path,
    name: str,
    stack: Stack,
    tong: TongClient,
    member: Member,
    port: int,
    change: tuple[str, str] | None = None,
) -> Any:
    """One sale with a sample as it is printed; the document it printed."""
    (block,) = [each for each in blocks_of(ROOT / "docs" / "start" / "integrate.md") if each.file == name]
    (folder / name).write_text(block.content.replace(*change) if change else block.content, encoding="utf-8")
    path = node_path(folder / "bin")
    node = shutil.which("node", path=path)
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        *((sys.executable, name) if name.endswith(".py") else (node, name)),
        cwd=folder,
        env={
            "PATH": path,
            "BASE_URL": f"http://127.0.0.1:{port}",
            "TERMINAL_KEY": stack.terminals["hotel"].api_key,
            "CODE": await tong.code(member),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        printed, said = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return json.loads(printed)


def port_of(stack: Stack) -> int:
    port = urlsplit(stack.base_url).port
    assert port is not None
    return port


@pytest.mark.parametrize("name", TILLS)
@pytest.mark.parametrize(
    "faults",
    [
        ("html_502", "html_502", "html_502"),
        ("html_502_after", "html_502_after"),
        ("drop_after", "cut_after"),
        ("drop", "redirect", "html_200", "html_404"),
        ("wait_429", "html_429"),
        ("date_503", "problem_of_another", "not_utf_8"),
    ],
    ids=" ".join,
)
async def test_a_till_recovers_with_the_same_key_and_the_sale_is_applied_once(
    stack: Stack, tong: TongClient, tmp_path: Path, name: str, faults: tuple[Fault, ...]
) -> None:
    member = await wealthy_member(stack)
    async with HttpFaults(port_of(stack), "/v1/verify", faults) as proxy:
        answer = await sell(tmp_path, name, stack, tong, member, proxy.port)
    assert answer.get("status") == "captured", answer
    assert [path for path, _, _ in proxy.asked] == ["/v1/verify"] * (len(faults) + 1)
    assert len({(key, body) for _, key, body in proxy.asked}) == 1, "the same bytes under the same key"
    assert await tong.points(member) == 5_000 - POINTS[name]


@pytest.mark.parametrize("name", TILLS)
@pytest.mark.parametrize("fault", ["html_502", "html_502_after"])
async def test_a_till_that_is_never_answered_cancels_and_nothing_stays_applied(
    stack: Stack, tong: TongClient, tmp_path: Path, name: str, fault: Fault
) -> None:
    member = await wealthy_member(stack)
    async with HttpFaults(port_of(stack), "/v1/verify", [fault] * 100) as proxy:
        answer = await sell(tmp_path, name, stack, tong, member, proxy.port)
    assert answer["effect"] == ("reversed" if fault == "html_502_after" else "tombstoned")
    assert [path for path, _, _ in proxy.asked] == ["/v1/verify"] * ATTEMPTS + ["/v1/cancel"]
    (key,) = {key for path, key, _ in proxy.asked if path == "/v1/verify"}
    assert json.loads(proxy.asked[-1][2])["idempotency_key"] == key
    assert await tong.points(member) == 5_000


async def test_a_till_that_makes_a_new_key_for_a_retry_is_seen_to_pay_twice(
    stack: Stack, tong: TongClient, tmp_path: Path
) -> None:
    """The control: with the rule broken the same fault takes the points, and the till gets another answer."""
    member = await wealthy_member(stack)
    broken = (
        "        pause = 0.2",
        '        request.headers["Idempotency-key"] = str(uuid.uuid4())\n        pause = 0.2',
    )
    async with HttpFaults(port_of(stack), "/v1/verify", ["html_502_after"]) as proxy:
        answer = await sell(tmp_path, "till.py", stack, tong, member, proxy.port, broken)
    assert len({key for _, key, _ in proxy.asked}) == 2
    assert answer["code"] in {"code_used", "possible_duplicate"}
    assert await tong.points(member) == 5_000 - POINTS["till.py"]


async def test_a_refusal_is_final_and_is_asked_once(stack: Stack, tong: TongClient, tmp_path: Path) -> None:
    poor = await stack.member()
    for name in TILLS:
        async with HttpFaults(port_of(stack), "/v1/verify", []) as proxy:
            answer = await sell(tmp_path, name, stack, tong, poor, proxy.port)
        assert answer["code"] == "points_insufficient"
        assert len(proxy.asked) == 1


def test_every_fault_of_the_proxy_is_tried() -> None:
    marks = test_a_till_recovers_with_the_same_key_and_the_sale_is_applied_once.pytestmark  # type: ignore[attr-defined]
    tried = {fault for mark in marks if "faults" in mark.args[0] for case in mark.args[1] for fault in case}
    assert tried == set(get_args(Fault))
