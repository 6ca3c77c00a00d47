"""Random ledgers and lists: every row and movement is in exactly one bill, every bill in one class, the sums agree."""

import datetime
import random
from collections import Counter
from typing import Any

from redemption.settlement.reconciliation import CLASSES, Item, compare, digest_of, totals_of
from redemption.settlement.till_days import Movement, movements_of_history
from redemption.settlement.till_lists.reading import TillRow

NOON = datetime.datetime(2026, 11, 22, 4, tzinfo=datetime.UTC)
OUTLETS = ("out_mall_1", "out_mall_2")


def history(rng: random.Random, subject_id: str, reference: str | None, outlet: str) -> list[dict[str, Any]]:
    """A redemption of points and stored value with what became of it."""
    points, value, money = rng.randint(1, 3_000), rng.randint(0, 3_000), rng.randint(0, 500)
    legs = [{"kind": "points", "points": points, "value_minor": value}]
    if money:
        legs.append({"kind": "stored_value", "amount_minor": money, "value_minor": money})
    held = rng.random() < 0.3
    moment = NOON + datetime.timedelta(seconds=rng.randint(0, 30_000))

    def row(kind: str, units: dict[str, int] | None, *, first: bool = False) -> dict[str, Any]:
        return {
            "subject_id": subject_id,
            "kind": kind,
            "occurred_at": moment,
            "outlet": outlet,
            "bill_reference": reference if first else None,
            "bill_amount_minor": 9_900 if first and reference else None,
            "legs": legs if first else None,
            "units": units,
        }

    taken = {"points": points, **({"CNY": money} if money else {})}
    rows = [row("hold" if held else "redeem", None if held else taken, first=True)]
    if held:
        taken = {asset: rng.randint(1, amount) for asset, amount in taken.items()}
        rows.append(row("capture", taken))
    while any(taken.values()) and rng.random() < 0.4:
        back = {asset: rng.randint(0, amount) for asset, amount in taken.items()}
        back = {asset: amount for asset, amount in back.items() if amount}
        taken = {asset: amount - back.get(asset, 0) for asset, amount in taken.items()}
        if back:
            rows.append(row("refund", {asset: -amount for asset, amount in back.items()}))
    return rows


def ledger_of(rng: random.Random) -> tuple[list[Movement], dict[str, int]]:
    """Movements of some redemptions, and what of each is off its bill in the end, as the till was told it."""
    movements: list[Movement] = []
    off: dict[str, int] = {}
    for number in range(rng.randint(0, 25)):
        reference = f"B-{rng.randint(1, 15)}" if rng.random() < 0.9 else None
        rows = history(rng, f"rdm_{number}", reference, rng.choice(OUTLETS))
        movements += movements_of_history(rows)
        net: Counter[str] = Counter()
        for row in rows:
            net.update(row["units"] or {})
        off[f"rdm_{number}"] = sum(
            leg["value_minor"]
            * net["points" if leg["kind"] == "points" else "CNY"]
            // leg["points" if leg["kind"] == "points" else "amount_minor"]
            for leg in rows[0]["legs"]
        )
    return movements, off


def list_of(rng: random.Random, movements: list[Movement]) -> list[TillRow]:
    """What a till makes of it: most rows right, some left out, doubled, wrong, of another day."""
    by_outlet, rows = rng.random() < 0.5, []
    for movement in movements:
        if rng.random() < 0.15:
            continue
        amount = movement.amount_minor + (rng.choice((0, 0, 0, 0, 1, -50)))
        row = TillRow(
            0,
            movement.reference or "unknown",
            amount,
            movement.occurred_at if rng.random() < 0.5 else None,
            movement.outlet if by_outlet else None,
            movement.redemption_id if rng.random() < 0.3 else None,
            rng.choice((None, None, 9_900, 1)),
        )
        rows += [row] * rng.choice((1, 1, 1, 2))
    rows += [
        TillRow(0, f"C-{rng.randint(1, 5)}", rng.randint(-10, 500), None, OUTLETS[0] if by_outlet else None, None, None)
        for _ in range(rng.randint(0, 4))
    ]
    rng.shuffle(rows)
    return [row._replace(number=number) for number, row in enumerate(rows, 1)]


SIDES = {
    "matched": (True, True),
    "different_amount": (True, True),
    "duplicate_in_list": (True, True),
    "missing_here": (True, False),
    "missing_there": (False, True),
    "cancelled_here": (False, True),
}


def check_class(item: Item) -> None:
    """The class says which sides there are and whether they agree."""
    assert SIDES[item.kind] == (bool(item.rows), bool(item.movements))
    agree = item.list_minor == item.ledger_minor
    if item.kind == "matched":
        assert agree
    elif item.kind == "different_amount":
        assert agree == ("bill_amount_differs" in item.notes)
    elif item.kind == "duplicate_in_list":
        assert len(item.rows) > 1
        assert not agree
    elif item.kind == "cancelled_here":
        assert item.ledger_minor == 0


def test_every_row_and_every_movement_is_in_one_class_and_the_sums_agree(chance: random.Random) -> None:
    for _ in range(400):
        movements, off = ledger_of(chance)
        for redemption_id, amount in off.items():
            mine = [movement.amount_minor for movement in movements if movement.redemption_id == redemption_id]
            assert sum(mine) == amount
        rows = list_of(chance, movements)
        items = compare(rows, movements)
        assert Counter(row.number for item in items for row in item.rows) == Counter(row.number for row in rows)
        assert Counter(each for item in items for each in item.movements) == Counter(movements)
        for item in items:
            check_class(item)
        totals = totals_of(items)
        assert list(totals) == list(CLASSES)
        assert sum(total.bills for total in totals.values()) == len(items)
        assert sum(total.list_minor for total in totals.values()) == sum(row.amount_minor for row in rows)
        assert sum(total.ledger_minor for total in totals.values()) == sum(each.amount_minor for each in movements)
        # A redemption is never cut in two, and one reference at one outlet is one bill.
        home = {movement.redemption_id: id(item) for item in items for movement in item.movements}
        assert all(home[each.redemption_id] == id(item) for item in items for each in item.movements)
        assert compare(chance.sample(rows, len(rows)), movements) == items


def test_a_list_made_of_the_ledger_agrees_whole(chance: random.Random) -> None:
    for _ in range(100):
        movements, _ = ledger_of(chance)
        movements = [each for each in movements if each.reference is not None]
        rows = [
            TillRow(number, each.reference or "", each.amount_minor, None, each.outlet, None, None)
            for number, each in enumerate(movements, 1)
        ]
        assert {item.kind for item in compare(rows, movements)} <= {"matched"}
        assert digest_of(rows) == digest_of(list(rows))
