"""What the tests of statements share: a group with names, hostile ones among them, and a history of some months."""

import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.statements.request import StatementRequest
from gateway.statements.writing import Written, write_statement
from redemption.database import Pool
from redemption.domain.clock import Clock
from redemption.settlement.disputes import Dispute, Disputes
from redemption.settlement.figures import Scope, Statement, StatementLine
from redemption.settlement.periods import Closed, Periods
from redemption.settlement.production import Production
from redemption.settlement.statements import Statements
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import BUSINESSES, Book, agree, at, group_pool

NOW = at("2026-11-22T08:00")

NAMES = {
    "hotel": {"zh-Hant": "通逸酒店", "zh-Hans": "通逸酒店", "en": "Tong Hotel"},
    "mall": {"zh-Hant": "通匯商場", "zh-Hans": "通汇商场", "en": "Tong Mall"},
    "restaurant": {"zh-Hant": "通味餐廳", "zh-Hans": "通味餐厅", "en": "Tong Dining"},
}
HOSTILE = (
    '=HYPERLINK("http://evil.invalid","click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "  =1+1",
    "＝1+1",
    "#set page(fill: red)",
    "*bold* _x_ $x^2$ \\ `raw` <label> @ref // comment /* c */",
    "<r><t>x</t></r></is></c><c><f>1+1</f><v>2</v></c><r></r>",
    "_x000D_ & <b> \u0007",
    "a,b;c\"d'e",
)
"""Names that a spreadsheet, XML or Typst would take for something else than text."""


async def name_everything(pool: Pool) -> None:
    """Names for businesses, outlets and a benefit; the gym has none, like one that was loaded without."""
    for business, names in NAMES.items():
        await pool.execute("UPDATE business SET name = $2 WHERE business_id = $1", business, names)
        desk = {"zh-Hant": f"{names['zh-Hant']}前台", "en": f"{names['en']} desk"}
        await pool.execute("UPDATE outlet SET name = $2 WHERE business_id = $1", business, desk)
    await pool.execute(
        "INSERT INTO benefit (benefit_id, definition) VALUES ('breakfast', $1)",
        {"name": {"zh-Hant": "雙人早餐", "zh-Hans": "双人早餐", "en": "Breakfast"}},
    )


async def agree_on_everything(pool: Pool) -> None:
    """Points and stored value by face value with tax, breakfasts at a price; a massage nobody agreed on."""
    points = {"kind": "proportion", "basis_points": 9_733}
    await agree(pool, "points", instrument="points", rule=points, tax_basis_points=600)
    await agree(pool, "stored", instrument="stored_value", rule={"kind": "proportion", "basis_points": 10_000})
    await agree(
        pool,
        "breakfast",
        instrument="benefit",
        benefit="breakfast",
        tax_basis_points=600,
        rule={"kind": "agreed_price", "price_minor": 6_111},
    )


async def months_of_history(pool: Pool, seed: int, redemptions: int = 120) -> None:
    """October 2026 settled and closed, November open with late lines, returns, a correction and exceptions."""
    chance = random.Random(seed)
    book = Book(pool)
    taken: list[tuple[str, str, list[tuple[str, str, int]]]] = []
    for number in range(redemptions):
        business = chance.choice(BUSINESSES)
        asset = chance.choice(("points", "points", "points", "benefit:breakfast", "CNY"))
        if number % 40 == 7:  # at the hotel, so that its statement has an exception whatever the seed
            business, asset = "hotel", "benefit:massage"
        lots = [(asset, f"202701.{issuer}", chance.randint(1, 5_000)) for issuer in chance.sample(BUSINESSES, 2)]
        _redeem(book, f"rdm_{number}", business, lots, at(f"2026-10-{1 + number % 30:02}T04:00"))
        taken.append((f"rdm_{number}", business, lots))
    await _settled(pool, book)
    closed = await Periods(pool, lambda: at("2026-11-02T00:00")).close(202610, "finance")
    assert isinstance(closed, Closed), closed
    for subject, business, lots in chance.sample(taken, redemptions // 6):
        back = [(asset, lot, "R", "A", chance.randint(1, units)) for asset, lot, units in lots]
        book.add("refund", subject, business, back, at(f"2026-11-{chance.randint(2, 20):02}T09:30"))
    for number in range(redemptions, redemptions + redemptions // 3):
        day = "10-31" if number % 9 == 0 else f"11-{1 + number % 20:02}"
        _redeem(book, f"rdm_{number}", "hotel", [("points", "202702.mall", number)], at(f"2026-{day}T04:00"))
    await _settled(pool, book)
    line_id = await pool.fetchval(
        "SELECT line_id FROM settlement_line WHERE kind = 'use' AND issuer <> acceptor AND period_month = 202610"
        " AND 'hotel' IN (issuer, acceptor) ORDER BY line_id LIMIT 1"
    )
    disputes = Disputes(pool, lambda: at("2026-11-06T02:00"))
    dispute = await disputes.open(line_id, "hotel", "=1+1 agreed were 55.00", "anna")
    assert isinstance(dispute, Dispute), dispute
    assert isinstance(await disputes.resolve(dispute.dispute_id, 5_500, "both agree", "bo"), Dispute)


@asynccontextmanager
async def history_of(postgres: PrivatePostgres) -> AsyncIterator[Pool]:
    """A database with names, agreements and such a history; its seed is printed."""
    seed = random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"history of seed {seed}\n")
    async with postgres.fresh_database() as dsn, group_pool(dsn) as opened:
        await name_everything(opened)
        await agree_on_everything(opened)
        await months_of_history(opened, seed)
        yield opened


async def read(pool: Pool, *arguments: str | None) -> tuple[Statement, list[StatementLine]]:
    statements = Statements(pool, lambda: NOW)
    scope = await statements.resolve(*arguments)  # type: ignore[arg-type]
    assert isinstance(scope, Scope), scope
    async with statements.open(scope) as opened:
        return opened.statement, [line async for batch in opened.lines() for line in batch]


async def export(
    pool: Pool, path: Path, business: str, period: str | None, *, clock: Clock | None = None, **more: Any
) -> bytes:
    """The bytes of a statement that must be given; `more` as StatementRequest's fields."""
    request = StatementRequest(business, period, **more)
    result = await write_statement(Statements(pool, clock or (lambda: NOW)), request, path)
    assert isinstance(result, Written), result
    return path.read_bytes()


def _redeem(book: Book, subject: str, business: str, lots: list[tuple[str, str, int]], when: float) -> None:
    asset, units = lots[0][0], sum(amount for _, _, amount in lots)
    kind = {"points": "points", "CNY": "stored_value"}.get(asset, "benefit")
    name = {"points": "points", "CNY": "amount_minor"}.get(asset, "uses")
    leg = {"kind": kind, name: units, "value_minor": units}
    if kind == "benefit":
        leg["benefit_id"] = asset.removeprefix("benefit:")
    moves = [(what, lot, "A", "R", amount) for what, lot, amount in lots]
    book.add("redeem", subject, business, moves, when, legs=[leg])


async def _settled(pool: Pool, book: Book) -> None:
    await book.flush()
    await Production(pool).run()
