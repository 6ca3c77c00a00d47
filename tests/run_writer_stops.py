"""`python -m tests.run_writer_stops [--stops 30] [--seed N]`: ends a real ledger writer again and again while its wall
clock jumps by an hour (tests/drills/shim.py), and says how long each end took.

Exit status 1 as soon as one takes longer than `STOP_SECONDS`, a third of what `tong up` gives it before it kills.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import asyncpg

from loadtest.stack import TONG
from tests.drills.shim import Shim
from tests.support.servers.postgres import private_postgres
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import GROUP_FILE
from tests.support.suite.waiting import wait_until

STOP_SECONDS = 10.0
UP_SECONDS = 60.0
HOUR_SECONDS = 3_600


async def main(stops: int, seed: int) -> int:
    chance = random.Random(seed)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory() as name, private_postgres() as postgres:
        folder = Path(name)
        folder.chmod(0o755)
        shim = Shim(folder)
        async with private_valkey() as valkey, postgres.fresh_database() as dsn:
            plain = {**os.environ, "TONG_HOME": str(folder), "TONG_VALKEY_URL": valkey.url, "TONG_POSTGRES_DSN": dsn}
            for command in (("migrate",), ("load", str(GROUP_FILE))):
                done = await asyncio.create_subprocess_exec(str(TONG), *command, env=plain, stdout=subprocess.DEVNULL)
                assert await asyncio.wait_for(done.wait(), UP_SECONDS) == 0
            took: list[float] = []
            for _ in range(stops):
                took.append(await stopped(plain | shim.environment, shim, dsn, chance))
                if took[-1] > STOP_SECONDS:
                    say(f"stop {len(took)} took {took[-1]:.1f} s")
                    return 1
    took.sort()
    say(f"{stops} stops: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def stopped(environment: dict[str, str], shim: Shim, dsn: str, chance: random.Random) -> float:
    """Seconds from SIGTERM to the end of a writer that is at work, with a jump of its clock about that moment."""
    writer = await asyncio.create_subprocess_exec(
        str(TONG), "write-ledger", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await until_at_work(dsn)
        await asyncio.sleep(chance.random())  # anywhere in its rounds: this is a script, not a test
        shim.clock(chance.choice((-1, 0, 1)) * HOUR_SECONDS)
        await asyncio.sleep(chance.random() * 0.3)
        began = time.monotonic()
        writer.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(writer.wait(), 3 * STOP_SECONDS)
        return time.monotonic() - began
    finally:
        if writer.returncode is None:
            writer.kill()
            await writer.wait()


async def until_at_work(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        statement = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'tong-ledger-writer' AND query LIKE '%watermark%'"
        )
        await wait_until("the writer is at work", lambda: connection.fetchval(statement), seconds=UP_SECONDS)
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.stops, options.seed)))
