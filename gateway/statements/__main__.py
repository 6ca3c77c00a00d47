"""One statement written in a process of its own, for a gateway worker: `python -m gateway.statements`.

The request comes as one line of JSON on stdin, the answer goes as JSON to stdout: `{"written": …}` or `{"refused": …}`.
When stdin ends early, whoever asked is gone: the work is given up and nothing is left behind. TONG_POSTGRES_DSN and
TONG_FONT_PATH come from the environment.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import orjson

from gateway.settings import Settings
from gateway.statements.exports import ChildRequest
from gateway.statements.writing import write_statement
from redemption.database import open_pool
from redemption.domain.clock import system_clock
from redemption.settlement.statements import StatementRefused, Statements

NICENESS = 10
"""A statement may wait; a scan may not."""


async def write(asked: ChildRequest, settings: Settings) -> bytes:
    """Return the answer to one request."""
    pool = await open_pool(settings.ledger(), size=1, name="tong-statements")
    try:
        statements = Statements(pool, system_clock)
        result = await write_statement(statements, asked.request, Path(asked.path), settings.font_path)
    finally:
        await pool.close()
    kind = "refused" if isinstance(result, StatementRefused) else "written"
    return orjson.dumps({kind: result}, default=str)


async def main() -> int:
    """Answer the request of stdin. Returns the exit status: 0 answered, 1 given up."""
    os.nice(NICENESS)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asked = msgspec.json.decode(await reader.readline(), type=ChildRequest)
    work = asyncio.create_task(write(asked, Settings()))
    left = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return 1
        sys.stdout.buffer.write(work.result())
        sys.stdout.buffer.flush()
        return 0
    finally:
        for task in (work, left):
            task.cancel()
        await asyncio.gather(work, left, return_exceptions=True)
        transport.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
