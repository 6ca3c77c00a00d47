"""A settling process for tests that kill it: `python -m tests.support.settlement.process <variant> <dsn> <batch>`.

Says "ready", settles what there is, says "done" and ends. Controls lack one thing that keeps the shipped one right.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

from redemption.database import Connection, open_pool
from redemption.settlement.lines import Line, Unsettled
from redemption.settlement.production import Production

TAKEOVER_SECONDS = 1.0  # short, so that a test of a hanging process is


class LinesApart(Production):
    """Control: commits the mark, and the lines a moment later on their own."""

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        async def later() -> None:
            await asyncio.sleep(0.05)
            async with self._pool.acquire() as other:
                await Production._write(self, other, lines, unsettled, serial)

        self.writing = [*getattr(self, "writing", []), asyncio.create_task(later())]


class Hanging(Production):
    """Stands still with a batch written and not committed, as a paused process does."""

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        await super()._write(connection, lines, unsettled, serial)
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


class HangingInCopy(Production):
    """Stands still with half of a batch's lines sent: its session is neither idle nor at work."""

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        async def halting() -> AsyncIterator[Line]:
            for number, line in enumerate(lines):
                if number == len(lines) // 2:
                    sys.stdout.write("holding\n")
                    sys.stdout.flush()
                    await asyncio.sleep(60)
                yield line

        await connection.copy_records_to_table("settlement_line", records=halting(), columns=list(Line._fields))


VARIANTS: dict[str, type[Production]] = {
    "shipped": Production,
    "lines-apart": LinesApart,
    "hanging": Hanging,
    "hanging-in-copy": HangingInCopy,
}


async def main(variant: str, dsn: str, batch: str) -> None:
    pool = await open_pool(dsn)
    production = VARIANTS[variant](pool, batch_transactions=int(batch), takeover_seconds=TAKEOVER_SECONDS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await production.run()
    await asyncio.gather(*getattr(production, "writing", []))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
