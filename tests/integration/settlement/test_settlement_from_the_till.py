"""From scans over HTTP to lines, through the real hot store, ledger writer and the demo group's agreements."""

from typing import Any

from redemption.database import open_pool
from redemption.settlement.production import Production
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Stack, Terminal
from tests.support.settlement.settlement import differences


async def step(tong: TongClient, terminal: Terminal, redemption_id: str, verb: str, points: int) -> None:
    """A capture or refund of so many points."""
    answer = await tong.http.post(
        f"/v1/redemptions/{redemption_id}/{verb}",
        json={"legs": [points_leg(points)]},
        headers={"authorization": f"Bearer {terminal.api_key}", "idempotency-key": fresh_key()},
    )
    assert answer.status_code == 200, answer.text


async def test_a_hold_captured_in_part_and_refunded_in_part_is_settled_by_who_issued_the_points(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 1500, 1), ("mall", 1500, 2))
    terminal = stack.terminals["restaurant"]
    body: dict[str, Any] = {
        "code": await tong.code(member),
        "bill": bill(),
        "legs": [points_leg(3000)],
        "capture": False,
    }
    answer = await tong.verify(terminal, body, fresh_key())
    assert answer.status_code == 201, answer.text
    redemption_id = answer.json()["redemption_id"]
    await step(tong, terminal, redemption_id, "capture", 2001)
    await step(tong, terminal, redemption_id, "refund", 700)
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
    dsn = stack.settings.postgres_dsn
    assert dsn is not None
    pool = await open_pool(dsn.get_secret_value())
    try:
        await Production(pool).run()
        lines = await pool.fetch(
            "SELECT kind, ledger_kind, issuer, acceptor, units, face_value_minor, amount_minor FROM settlement_line"
            " WHERE subject_id = $1 ORDER BY kind DESC, issuer",
            redemption_id,
        )
        # A point is worth a fen at the restaurant; points are settled at 98 %. 2001 x 98 % = 1960.98, rounded 1961,
        # split 1500 : 501 as 1470.01 and 490.99. Refunded: the last to expire first, all 501 of the mall, then 199.
        assert [tuple(line) for line in lines] == [
            ("use", "capture", "hotel", "restaurant", 1500, 1500, 1470),
            ("use", "capture", "mall", "restaurant", 501, 501, 491),
            ("return", "refund", "hotel", "restaurant", -199, -199, -195),
            ("return", "refund", "mall", "restaurant", -501, -501, -491),
        ]
        # Whatever the other tests of this stack did: every unit redeemed is a line or an exception.
        assert await differences(pool) == []
    finally:
        await pool.close()
