"""The hot store's data is lost, under a stack that stands still and under one that runs: it says what to do, and after
that the balances are as before."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from loadtest.stack import TONG
from tests.support.api.client import bill, fresh_key, points_leg
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until

TOOL_SECONDS = 60.0
pytestmark = pytest.mark.timeout(300)  # several starts of a stack, and commands beside it
SAYS = "run `tong rebuild --all`"


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tong-test-lost-"))
    yield folder / "home"
    shutil.rmtree(folder)


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[Stack]:
    """`tong up` once it has written demo.json, whether it is ready or not."""
    with tempfile.NamedTemporaryFile() as log:
        running = Stack(home.parent, {}, log=Path(log.name))
        running.start()
        try:
            await running.until_ready()
            yield running
        except BaseException as fault:
            fault.add_note(running.said[-3_000:])
            raise
        finally:
            await running.end()


async def ready(running: Stack) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=running.demo["base_url"], timeout=10) as http:
        return await http.get("/readyz")


async def until_ready(running: Stack, status: int, words: str = "") -> None:
    async def answers() -> bool:
        answer = await ready(running)
        return answer.status_code == status and words in answer.text

    await wait_until(f"/readyz answers {status} {words}", answers)


async def scan(running: Stack) -> httpx2.Response:
    """100 points of the first member, at the hotel."""
    demo = running.demo
    till, member = demo["terminals"][0], demo["members"][0]
    async with httpx2.AsyncClient(base_url=demo["base_url"], timeout=10) as http:
        bearer = {"authorization": f"Bearer {member['access_token']}"}
        code = (await http.post("/v1/me/codes", json={"count": 1}, headers=bearer)).json()["codes"][0]["code"]
        headers = {"authorization": f"Bearer {till['api_key']}", "idempotency-key": fresh_key()}
        body = {"code": code, "bill": bill(20_000), "legs": [points_leg(100)], "confirm_duplicate": True}
        return await http.post("/v1/verify", json=body, headers=headers)


async def balance(running: Stack) -> Any:
    demo = running.demo
    async with httpx2.AsyncClient(base_url=demo["base_url"], timeout=10) as http:
        bearer = {"authorization": f"Bearer {demo['members'][0]['access_token']}"}
        return (await http.get("/v1/me", headers=bearer)).json()


async def until_in_the_ledger(running: Stack, redemption_id: str) -> None:
    connection = await asyncpg.connect(running.demo["postgres_dsn"])
    try:
        statement = "SELECT count(*) FROM ledger_transaction WHERE subject_id = $1"
        await wait_until("the scan is in the ledger", lambda: connection.fetchval(statement, redemption_id))
    finally:
        await connection.close()


async def tong(running: Stack, *arguments: str) -> str:
    """A command against the running stack's stores, as the message says; it has to end well."""
    demo = running.demo
    stores = {"TONG_VALKEY_URL": demo["valkey_url"], "TONG_POSTGRES_DSN": demo["postgres_dsn"]}
    process = await asyncio.create_subprocess_exec(
        str(TONG),
        *arguments,
        env={**os.environ, **stores, "TONG_HOME": str(running.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), TOOL_SECONDS)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_a_stack_whose_hot_store_was_lost_says_what_to_do_and_has_every_balance_afterwards(home: Path) -> None:
    async with serving(home) as running:
        first = await scan(running)
        assert first.status_code == 201, first.text
        await until_in_the_ledger(running, first.json()["redemption_id"])
        before = await balance(running)
    shutil.rmtree(home / "valkey" / "data")

    async with serving(home) as running:
        await wait_until("it says what to do", lambda: "tong rebuild --all" in running.said)
        assert "Traceback" not in running.said
        await until_ready(running, 503, SAYS)
        refused = await scan(running)
        assert (refused.status_code, refused.json()["code"], refused.json()["outcome"]) == (
            503,
            "unavailable",
            "not_applied",
        )
        await tong(running, "rebuild", "--all", "--yes")
        await until_ready(running, 200)
        assert await balance(running) == before
        second = await scan(running)
        assert second.json()["balance"]["points"] == first.json()["balance"]["points"] - 100
        await until_in_the_ledger(running, second.json()["redemption_id"])
        await tong(running, "audit")


async def test_a_running_gateway_says_that_its_hot_store_was_emptied_and_goes_on_once_it_is_back(home: Path) -> None:
    async with serving(home) as running:
        first = await scan(running)
        assert first.status_code == 201, first.text
        await until_in_the_ledger(running, first.json()["redemption_id"])
        before = await balance(running)
        valkey = running.demo["pids"]["valkey"]
        (home / "valkey" / "data" / "appendonlydir").rename(home / "valkey" / "lost")
        os.kill(valkey, signal.SIGKILL)
        await until_ready(running, 503, SAYS)
        assert "not connected" not in (await ready(running)).text
        await tong(running, "rebuild", "--all", "--yes")
        await until_ready(running, 200)
        assert await balance(running) == before
        assert (await scan(running)).status_code == 201
