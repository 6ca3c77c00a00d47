"""One pass along a bucket's chain against its seals, exported heads and archived rows.

Guarantees: the chain is computed from the first row on, whatever the seals say; after a broken stretch it begins again
at the next seal, so that every broken stretch is named. Archived rows are crossed by their segment (manifest.py), or
read from their files where a folder is given. Without the files, seals and heads in the middle of archived rows are not
verified; they are counted in `not_seen`.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from redemption.database import Connection
from redemption.ledger.archive_files import links_of
from redemption.ledger.chain import BEGINNING, Head, Link, Place, SealKey, all_links, beginning, extended, head_of
from redemption.ledger.manifest import ArchiveDamaged, Gap
from redemption.queries import named_queries

QUERY_SECONDS: Final = 3_600.0
TICK_ROWS: Final = 2_000
_END: Final = Place(2**31, 0, 0)

Say = Callable[[str, str, str], None]
"""A receiver of each difference: what differs, and its two sides."""


class ChainCheck:
    """The check of one bucket.

    `gaps`: its archived segments, in order; `folder`: where their files are; `witness` sees every row that is read from
    PostgreSQL, with the chain before and after it.
    """

    def __init__(
        self,
        bucket: int,
        key: SealKey,
        say: Say,
        *,
        heads: Sequence[Head] = (),
        gaps: Sequence[Gap] = (),
        folder: Path | None = None,
        witness: Callable[[Head, Link, Head], None] | None = None,
    ) -> None:
        self.sealed_rows = 0
        self.not_seen = 0
        self._bucket = bucket
        self._key = key
        self._say = say
        self._heads = deque(sorted((head for head in heads if head.bucket == bucket), key=lambda head: head.place))
        self._gaps = deque(gaps)
        self._folder = folder
        self._witness = witness
        self._files: dict[int, Iterator[Link]] = {}
        self._genuine = beginning(bucket, key)  # it runs from the first row on, whatever the seals say
        self._trusted = self._genuine  # it begins again at each seal, so that every broken stretch is named
        self._seal: Head | None = None
        self._seals: AsyncIterator[Head] | None = None

    async def verify(
        self, connection: Connection, upto: Place, tick: Callable[[int], None], *, whole: bool = True
    ) -> None:
        """Verify the chain.

        The connection is in a repeatable-read transaction. `tick` receives the number of rows read. `whole`: `upto` is
        the ledger's end, so that seals and heads beyond it are differences.
        """
        self._seals = self._all_seals(connection, None if whole else upto)
        await self._next_seal()
        async for batch in all_links(connection, self._bucket, BEGINNING, upto):
            for link in batch:
                while self._gaps and self._gaps[0].segment.begins < link.place:
                    await self._cross(self._gaps.popleft(), tick)
                before = self._genuine
                await self._take(link)
                if self._witness is not None:
                    self._witness(before, link, self._genuine)
            tick(len(batch))
        while self._gaps and self._gaps[0].segment.begins <= upto:
            await self._cross(self._gaps.popleft(), tick)
        await self._seals_before(_END, "the ledger ends before it")
        if whole:
            self._heads_before(_END)

    async def _take(self, link: Link) -> None:
        await self._seals_before(link.place, "the row it ends with is not there")
        self._heads_before(link.place)
        same = self._trusted is self._genuine
        self._genuine = extended(self._genuine, self._key, link)
        self._trusted = self._genuine if same else extended(self._trusted, self._key, link)
        await self._arrived(link.place)

    async def _arrived(self, place: Place) -> None:
        """Compare the chain at the end of a row or of a segment."""
        if self._heads and self._heads[0].place == place:
            self._hold_against(self._heads.popleft())
        if self._seal is not None and self._seal.place == place:
            self._close(self._seal)
            await self._next_seal()

    async def _cross(self, gap: Gap, tick: Callable[[int], None]) -> None:
        """Cross archived rows."""
        segment, name = gap.segment, gap.part.manifest.name
        await self._seals_before(segment.begins, "the row it ends with is not there")
        self._heads_before(segment.begins)
        if (self._trusted.mac.hex(), self._trusted.rows) != (segment.before, segment.rows_before):
            self._say(
                f"rows {self.sealed_rows + 1} to {segment.rows_before}, up to the archived part {name}",
                f"archived after {segment.rows_before} rows, mac {segment.before[:16]}",
                f"{self._trusted.rows} rows up to there now: a row was changed, removed or put in",
            )
            self._trusted = self._head(BEGINNING, segment.rows_before, 0, segment.before)
        self._genuine = self._trusted
        rows_in_epoch = self._trusted.rows_in_epoch if self._trusted.place.epoch == segment.epoch else 0
        ends = self._head(segment.ends, segment.rows_before + segment.rows, rows_in_epoch + segment.rows, segment.after)
        if self._folder is not None:
            await self._read(gap, ends, tick)
        if self._folder is None or self._trusted.place != segment.ends:
            await self._jump(ends)

    async def _read(self, gap: Gap, ends: Head, tick: Callable[[int], None]) -> None:
        """Read the segment's rows from their file."""
        assert self._folder is not None
        segment, manifest = gap.segment, gap.part.manifest
        try:
            if manifest.part not in self._files:
                part = manifest.of_bucket(self._bucket)
                assert part is not None
                self._files[manifest.part] = links_of(self._folder / manifest.name, part)
            for number in range(segment.rows):
                link = next(self._files[manifest.part], None)
                if link is None or not segment.begins <= link.place <= segment.ends:
                    raise ArchiveDamaged(f"row {number + 1} of {segment.rows} is not where it was")
                await self._take(link)
                if number % TICK_ROWS == 0:
                    tick(TICK_ROWS)
        except ArchiveDamaged as fault:
            self._say(f"archived part {manifest.name}", f"{segment.rows} rows up to {segment.ends}", str(fault))
            return
        if self._genuine.mac != ends.mac:
            self._say(
                f"archived rows {segment.rows_before + 1} to {ends.rows}, part {manifest.name}",
                f"archived with mac {segment.after[:16]}",
                f"the file leads to {self._genuine.mac.hex()[:16]}: a row of it was changed",
            )
            self._trusted = self._genuine = ends

    async def _jump(self, ends: Head) -> None:
        """Jump to the end of a segment, trusting its signed manifest for the rows in between."""
        while self._seal is not None and self._seal.place < ends.place:
            self.not_seen += 1
            self.sealed_rows = self._seal.rows
            await self._next_seal()
        while self._heads and self._heads[0].place < ends.place:
            self._heads.popleft()
            self.not_seen += 1
        self._trusted = self._genuine = ends
        await self._arrived(ends.place)

    def _head(self, place: Place, rows: int, rows_in_epoch: int, mac: str) -> Head:
        return Head(self._bucket, 0, place, rows, rows_in_epoch, self._key.key_id, bytes.fromhex(mac))

    async def _next_seal(self) -> None:
        assert self._seals is not None
        self._seal = await anext(self._seals, None)

    async def _all_seals(self, connection: Connection, upto: Place | None) -> AsyncIterator[Head]:
        number = 0
        cursor = connection.cursor(
            named_queries("ledger", "seal")["seals_of_bucket"], self._bucket, prefetch=1_000, timeout=QUERY_SECONDS
        )
        async for row in cursor:
            seal = head_of(self._bucket, row)
            if upto is not None and seal.place > upto:
                return
            if seal.number != number + 1:
                self._say(f"seals {number + 1} to {seal.number - 1}", "not there", f"seal {seal.number} is")
            number = seal.number
            yield seal

    async def _seals_before(self, place: Place, why: str) -> None:
        while self._seal is not None and self._seal.place < place:
            self._broken(self._seal, why)
            await self._next_seal()

    def _close(self, seal: Head) -> None:
        chain = self._trusted
        if seal.key_id != self._key.key_id:
            self._say(f"seal {seal.number}", f"made with key {seal.key_id}", f"this key is {self._key.key_id}")
        elif (chain.mac, chain.rows) != (seal.mac, seal.rows):
            self._broken(seal, f"{chain.rows} rows up to there now")
            return
        self.sealed_rows = seal.rows

    def _broken(self, seal: Head, why: str) -> None:
        self._say(
            f"rows {self.sealed_rows + 1} to {seal.rows}, up to {seal.place}",
            f"sealed as {seal.rows} rows, mac {seal.mac.hex()[:16]}",
            f"{why}: a row was changed, removed or put in",
        )
        self.sealed_rows = seal.rows
        self._trusted = Head(seal.bucket, seal.number, seal.place, seal.rows, seal.rows_in_epoch, seal.key_id, seal.mac)

    def _heads_before(self, place: Place) -> None:
        while self._heads and self._heads[0].place < place:
            head = self._heads.popleft()
            self._say(f"exported head at {head.place}", f"{head.rows} rows", "that row is not in the ledger")

    def _hold_against(self, head: Head) -> None:
        if head.key_id != self._key.key_id:
            self._say(f"exported head at {head.place}", f"key {head.key_id}", f"this key is {self._key.key_id}")
        elif (head.mac, head.rows) != (self._genuine.mac, self._genuine.rows):
            self._say(
                f"exported head at {head.place}",
                f"{head.rows} rows, mac {head.mac.hex()[:16]}",
                f"{self._genuine.rows} rows, mac {self._genuine.mac.hex()[:16]} computed",
            )
