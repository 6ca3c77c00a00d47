"""`tong demo` as a person runs it, against a stack that runs; and that it says so when something differs."""

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gateway.development.demo.commands import STEPS
from loadtest.stack import TONG
from tests.support.api.client import TongClient
from tests.support.servers.stack import Stack

DEMO_SECONDS = 60.0
Content = dict[str, Any]


async def run_demo(home: Path) -> tuple[int, str]:
    """Exit status and everything that was said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TONG_")}
    process = await asyncio.create_subprocess_exec(
        str(TONG),
        "demo",
        env=inherited | {"TONG_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), DEMO_SECONDS)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_every_step_comes_to_what_it_must_again_and_again(stack: Stack) -> None:
    for _ in range(3):
        status, said = await run_demo(stack.home)
        assert status == 0, said
        for number, (title, _step) in enumerate(STEPS, 1):
            assert f"{number:2}. {title}: " in said
        for told in ("Idempotency-Replayed: true", "code_used", "tombstoned", "409 cancelled", "crossing +10 %"):
            assert told in said
        for secret in (stack.terminals["hotel"].api_key, *(each["access_token"] for each in stack.demo["members"])):
            assert secret not in said


async def test_it_can_be_read_on_one_screen_and_shows_the_first_answer_whole(stack: Stack) -> None:
    status, said = await run_demo(stack.home)
    assert status == 0, said
    lines = said.splitlines()
    first, last = lines.index("      {"), lines.index("      }")
    assert json.loads("\n".join(lines[first : last + 1]))["status"] == "captured"
    assert len(lines) - (last + 1 - first) < 40


async def test_a_tour_leaves_its_member_with_everything_there_was_before(
    stack: Stack, tong: TongClient, tmp_path: Path
) -> None:
    content = stack.demo
    content["members"] = content["members"][:1]
    token = content["members"][0]["access_token"]
    (tmp_path / "demo.json").write_text(json.dumps(content))

    async def means() -> Any:
        headers = {"authorization": f"Bearer {token}"}
        answers = [await tong.http.get(path, headers=headers) for path in ("/v1/me", "/v1/me/benefits")]
        return answers[0].json()["balance"], answers[0].json()["lots"], answers[1].json()

    before = await means()
    status, said = await run_demo(tmp_path)
    assert status == 0, said
    assert await means() == before


async def test_the_pictures_are_png_files_for_their_owner_only(stack: Stack) -> None:
    status, said = await run_demo(stack.home)
    assert status == 0, said
    folder = stack.home / "demo"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("qr.png", "code128.png"):
        with Image.open(folder / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 100


async def test_without_a_running_stack_it_says_what_to_do(tmp_path: Path) -> None:
    status, said = await run_demo(tmp_path)
    assert status == 1
    assert str(tmp_path) in said
    assert "tong up" in said
    assert "Traceback" not in said


def _stack_is_gone(content: Content) -> None:
    content["base_url"] = "http://127.0.0.1:1"


def _members_are_unknown(content: Content) -> None:
    content["members"] = [{**each, "access_token": "no.such.token"} for each in content["members"]]


def _tills_key_is_wrong(content: Content) -> None:
    content["terminals"] = [{**each, "api_key": each["api_key"][:-1] + "_"} for each in content["terminals"]]


def _ledger_is_away(content: Content) -> None:
    content["postgres_dsn"] = "postgresql://tong:hush@127.0.0.1:1/tong"


def _restaurant_is_closed(content: Content) -> None:
    content["terminals"] = [each for each in content["terminals"] if each["business"] != "restaurant"]


def _mall_is_closed(content: Content) -> None:
    content["terminals"] = [each for each in content["terminals"] if each["business"] != "mall"]


@pytest.mark.parametrize(
    ("break_it", "step"),
    [
        (_stack_is_gone, "The stack is ready"),
        (_members_are_unknown, "A member of the demo group"),
        (_tills_key_is_wrong, "The hotel's till takes the QR code"),
        (_ledger_is_away, "The ledger"),
        (_restaurant_is_closed, "The restaurant asks what may be used"),
        (_mall_is_closed, "A purchase at the mall earns points"),
    ],
)
async def test_the_first_step_that_differs_is_named_and_ends_it(
    stack: Stack, tmp_path: Path, break_it: Callable[[Content], None], step: str
) -> None:
    content = stack.demo
    break_it(content)
    (tmp_path / "demo.json").write_text(json.dumps(content))
    status, said = await run_demo(tmp_path)
    assert status == 1
    last = said.splitlines()[-1]
    assert f". {step}: FAILED. " in last
    assert "Traceback" not in said
    assert "hush" not in said
