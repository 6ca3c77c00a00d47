"""The load test's members who listen: what they do not hear of counts against the run."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from gateway.settings import DEVELOPMENT_ISSUER
from loadtest.__main__ import LOCUSTFILE
from loadtest.population import Terminal
from loadtest.scenarios.world import WORLD_VARIABLE, World
from loadtest.verdict import Limits, objections
from tests.support.api.client import fresh_key
from tests.support.servers.proxy import FaultProxy
from tests.support.servers.stack import Stack

pytestmark = pytest.mark.alone

SECONDS = 100.0


async def test_a_run_fails_when_scans_are_taken_and_their_members_do_not_hear_of_them(
    stack: Stack, tmp_path: Path
) -> None:
    members = await stack.members([[("hotel", 1_000_000, 2)]] * 4)
    till = await stack.terminal("listened")
    world = World(
        run=fresh_key(),
        home=str(stack.home),
        issuer=DEVELOPMENT_ISSUER,
        audience=stack.settings.member_audience,
        first_member=members[0].number,
        members=len(members),
        users=3,
        seconds=8,
        notice_seconds=1.0,
        results=str(tmp_path / "results.json"),
        terminals=(Terminal(till.terminal_id, till.business, till.api_key),),
    )
    world.write(tmp_path / "world.json")
    async with FaultProxy(int(stack.base_url.rpartition(":")[2])) as proxy:
        proxy.silent_after = b"event: ready\n"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "ListeningMember", "--headless"),
            *("--host", f"http://127.0.0.1:{proxy.port}", "--exit-code-on-error", "0"),
            env={**os.environ, WORLD_VARIABLE: str(tmp_path / "world.json")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    results = json.loads(Path(world.results).read_text())
    scans = results["names"]["verify: member who listens"]
    assert scans["requests"] > scans["failures"], said.decode()
    against = objections(Limits(60_000.0, 0.0), results["names"], results["errors"], [])
    assert "no member heard of a redemption" in against
    assert any("none within 1 s of a scan" in sentence for sentence in against), against
