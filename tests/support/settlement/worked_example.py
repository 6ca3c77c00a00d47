"""The worked example of docs/reference/settlement.md, month by month."""

from redemption.database import Pool
from tests.support.settlement.settlement import Book, agree, at


def points(amount: int, value: int) -> dict[str, object]:
    return {"kind": "points", "points": amount, "value_minor": value}


async def november(pool: Pool) -> Book:
    """The first month of the worked example."""
    await agree(pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9800})
    await agree(
        pool,
        "breakfast",
        issuer="hotel",
        instrument="benefit",
        benefit="breakfast",
        rule={"kind": "agreed_price", "price_minor": 6000},
        tax_basis_points=600,
    )
    book = Book(pool)
    await book.write(
        "redeem",
        "rdm_1",
        "restaurant",
        [("points", "202701.hotel", "A", "R", 1500), ("points", "202702.mall", "A", "R", 500)],
        at("2026-11-05T04:00"),
        legs=[points(2000, 1333)],
    )
    await book.write(
        "redeem",
        "rdm_2",
        "restaurant",
        [("benefit:breakfast", "202612.hotel", "A", "R", 1)],
        at("2026-11-12T00:30"),
        legs=[{"kind": "benefit", "benefit_id": "breakfast", "uses": 1, "value_minor": 8800}],
    )
    await book.write(
        "hold",
        "rdm_3",
        "hotel",
        [("points", "202701.mall", "A", "H", 600), ("points", "202703.restaurant", "A", "H", 400)],
        at("2026-11-20T06:00"),
        legs=[points(1000, 1000)],
    )
    await book.write(
        "capture",
        "rdm_3",
        "hotel",
        [
            ("points", "202701.mall", "H", "R", 600),
            ("points", "202703.restaurant", "H", "R", 100),
            ("points", "202703.restaurant", "H", "A", 300),
        ],
        at("2026-11-21T06:00"),
    )
    await book.write(
        "redeem",
        "rdm_4",
        "hotel",
        [("points", "202701.hotel", "A", "R", 200)],
        at("2026-11-22T06:00"),
        legs=[points(200, 200)],
    )
    return book


async def december(pool: Pool, book: Book) -> None:
    """The second month: refunds, a late entry, a changed agreement."""
    await agree(
        pool, "points", instrument="points", rule={"kind": "proportion", "basis_points": 9500}, valid_from="2026-12-01"
    )
    await book.write(
        "redeem",
        "rdm_5",
        "hotel",
        [("points", "202702.mall", "A", "R", 100)],
        at("2026-11-30T06:00"),
        legs=[points(100, 100)],
    )
    await book.write(
        "refund",
        "rdm_1",
        "restaurant",
        [("points", "202702.mall", "R", "A", 500), ("points", "202701.hotel", "R", "A", 200)],
        at("2026-12-03T06:00"),
    )
    await book.write(
        "refund", "rdm_1", "restaurant", [("points", "202701.hotel", "R", "A", 1300)], at("2026-12-04T06:00")
    )
    await book.write(
        "redeem",
        "rdm_6",
        "mall",
        [("points", "202701.hotel", "A", "R", 1000)],
        at("2026-12-05T06:00"),
        legs=[points(1000, 1000)],
    )
