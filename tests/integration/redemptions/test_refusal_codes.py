"""`tong demo codes`: what it prints is refused as it says, at a real stack, and no refusal of verify is left out."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from gateway.development.demo.refusal_codes import NOT_ON_PURPOSE
from gateway.development.demo.refusal_group import TILL
from gateway.server.routes import OPERATIONS
from loadtest.stack import TONG
from tests.support.api.client import TongClient
from tests.support.servers.stack import Stack

INTEGRATE = Path(__file__).parents[3] / "docs" / "start" / "integrate.md"
COMMAND_SECONDS = 60.0
Case = dict[str, Any]


async def demo_codes(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit status, what was printed, and what was said beside it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
    process = await asyncio.create_subprocess_exec(
        *(str(TONG), "demo", "codes", *arguments),
        env=inherited | {"TONG_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, said = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    assert process.returncode is not None
    return process.returncode, printed.decode(), said.decode()


def of_verify() -> set[str]:
    (call,) = (each for each in OPERATIONS if (each.method, each.path) == ("POST", "/v1/verify"))
    return set(call.refusals)


async def walk(tong: TongClient, case: Case) -> None:
    """Sends a case's requests as they were printed; each must be answered as it says."""
    redemption_id = ""
    for step in case["steps"]:
        await asyncio.sleep(step["wait_seconds"])
        content = json.dumps(step["body"]) if step["text"] is None else step["text"] * step["text_times"]
        for attempt in range(1, step["times"] + 1):
            headers = dict(step["headers"])
            if attempt > 1:
                headers["Idempotency-Key"] += f"-{attempt}"
            path = step["path"].format(redemption_id=redemption_id)
            answer = await tong.http.request(step["method"], path, content=content.encode(), headers=headers)
            if answer.json().get("code") == step["code"]:
                break
        assert (answer.status_code, answer.json().get("code")) == (step["answers"], step["code"]), (case, answer.text)
        redemption_id = answer.json().get("redemption_id", redemption_id)


async def test_every_test_code_is_refused_exactly_as_it_says_and_none_of_verify_is_missing(
    stack: Stack, tong: TongClient
) -> None:
    status, printed, said = await demo_codes(stack.home, "--json")
    assert status == 0, said
    found: list[Case] = json.loads(printed)
    assert [case["steps"][-1]["code"] for case in found] == [case["refusal"] for case in found]
    guide = INTEGRATE.read_text(encoding="utf-8")
    assert [case["refusal"] for case in found if f"| `{case['refusal']}` | {case['what']} |" not in guide] == []
    told = {case["refusal"] for case in found}
    assert of_verify() - told == set(NOT_ON_PURPOSE)
    assert told - of_verify() == {
        "not_found",
        "hold_expired",
        "already_captured",
        "already_voided",
        "already_refunded",
        "exceeds_hold",
        "exceeds_redemption",
        "earning_limit_reached",
    }
    for case in found:
        await walk(tong, case)


async def test_it_can_be_read_without_a_key_and_says_what_cannot_be_had(stack: Stack) -> None:
    status, printed, said = await demo_codes(stack.home)
    assert status == 0, said
    assert TILL in printed
    for refusal in of_verify():
        assert f" {refusal}: " in printed, refusal
    assert "tong_tk_" not in printed
    assert (await demo_codes(stack.home, "overloaded"))[1].startswith("503 overloaded: nothing that is sent")
    status, printed, said = await demo_codes(stack.home, "no_such_refusal")
    assert (status, printed) == (1, "")
    assert "points_insufficient" in said


async def test_outside_a_running_development_stack_there_are_none(tmp_path: Path) -> None:
    status, printed, said = await demo_codes(tmp_path)
    assert (status, printed) == (1, "")
    assert "start it with `tong up`" in said
