"""A sealer as a program, for tests that kill it: `python -m tests.support.ledger.sealers <dsn> <buckets> <key,
hex>`."""

import asyncio
import signal
import sys

from redemption.database import open_pool
from redemption.ledger.chain import SealKey
from redemption.ledger.sealer import Sealer


async def main(dsn: str, buckets: str, secret: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await open_pool(dsn)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await Sealer(pool, SealKey(bytes.fromhex(secret)), range(int(buckets)), trail_seconds=0.02).run(stop)
    pool.terminate()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
