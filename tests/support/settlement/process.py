"""A settling process for tests that kill it: `python -m tests.support.settlement.process <variant> <dsn> <batch>`.

Says "ready", settles what there is, says "done" and ends. Controls lack one thing that keeps the shipped one right.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence

from redemption.database import Connection, Pool, open_pool
from redemption.settlement.lines import Line, Unsettled
from redemption.settlement.production import Production, SettlementLines

TAKEOVER_SECONDS = 1.0  # short, so that a test of a hanging process is


class LinesApart(SettlementLines):
    """Control: commits the mark, and the lines a moment later on their own."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool
        self.writing: list[asyncio.Task[None]] = []

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        async def later() -> None:
            await asyncio.sleep(0.05)
            async with self._pool.acquire() as other:
                await SettlementLines._write(self, other, lines, unsettled, serial)

        self.writing.append(asyncio.create_task(later()))


class Hanging(SettlementLines):
    """Stands still with a batch written and not committed, as a paused process does."""

    async def _write(
        self, connection: Connection, lines: Sequence[Line], unsettled: Sequence[Unsettled], serial: int
    ) -> None:
        await super()._write(connection, lines, unsettled, serial)
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


class HangingInCopy(SettlementLines):
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


VARIANTS: dict[str, Callable[[Pool], SettlementLines]] = {
    "shipped": lambda _: SettlementLines(),
    "lines-apart": LinesApart,
    "hanging": lambda _: Hanging(),
    "hanging-in-copy": lambda _: HangingInCopy(),
}


async def main(variant: str, dsn: str, batch: str) -> None:
    pool = await open_pool(dsn)
    lines = VARIANTS[variant](pool)
    production = Production(pool, batch_transactions=int(batch), takeover_seconds=TAKEOVER_SECONDS, lines=lines)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await production.run()
    await asyncio.gather(*getattr(lines, "writing", []))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
