"""A replay that begins from what archived months left says what a replay of everything says."""

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from redemption.ledger.expected_state import ExpectedState, Transaction, Who
from redemption.ledger.movements import Movement
from redemption.ledger.replay import Replay

WHO = Who("mem_0000001", 1, "gold", "陳**", "active", ZoneInfo("Asia/Shanghai"), {"hotel": "CNY"}, 64, cluster=False)
FIRST_MS = 1_795_346_948_000
DAY_MS = 86_400_000
LATER = (FIRST_MS + 1_000 * DAY_MS) / 1_000


def transaction(number: int, kind: str, subject: str, *moves: Movement, **context: Any) -> Transaction:
    return Transaction(FIRST_MS + number * DAY_MS, kind, subject, moves, {"business": "hotel", **context})


@st.composite
def histories(draw: st.DrawFn) -> list[Transaction]:
    """Points earned at two businesses, some taken back later, wholly or in part; points redeemed and given back."""
    history: list[Transaction] = []
    earned: list[tuple[str, int]] = []
    used: list[tuple[str, int]] = []
    for number in range(draw(st.integers(1, 25))):
        lot = f"202712.{draw(st.sampled_from(['hotel', 'mall']))}"
        amount = draw(st.integers(1, 500))
        match draw(st.sampled_from(["accrue", "accrue", "reverse", "redeem", "refund"])):
            case "accrue":
                settled = draw(st.integers(0, 3))
                moves = [Movement("points", lot, "I", "A", amount)]
                if settled:
                    moves.append(Movement("points", lot, "A", "I", settled))
                restore = {"growth": draw(st.integers(0, 99)), "validity_months": 12, "crossing_days": 30}
                place = {"business": lot.partition(".")[2], "restore": restore}
                history.append(transaction(number, "accrue", f"acr_{number}", *moves, **place))
                earned.append((f"acr_{number}", amount))
            case "reverse" if earned:
                subject, most = earned.pop(draw(st.integers(0, len(earned) - 1)))
                back = draw(st.integers(0, most))
                moves = [Movement("points", lot, "A", "I", back)] if back else []
                history.append(transaction(number, "reverse", subject, *moves))
            case "redeem":
                legs = [{"kind": "points", "points": amount, "value_minor": 1}]
                move = Movement("points", lot, "A", "R", amount)
                history.append(transaction(number, "redeem", f"rdm_{number}", move, legs=legs))
                used.append((f"rdm_{number}", amount))
            case "refund" if used:
                subject, amount = used.pop()
                history.append(transaction(number, "refund", subject, Movement("points", lot, "R", "A", amount)))
    return history


def replayed(history: list[Transaction], begun: Replay | None = None) -> Replay:
    replay = begun or Replay(WHO)
    for each in history:
        replay.take(each)
    return replay


def shown(replay: Replay) -> dict[str, dict[str, str]]:
    """What the hot store must hold long after: lots and the member; a number that is nothing may be missing."""
    image: ExpectedState = replay.image(LATER)
    assert image.strings == {}
    return {
        key: {name: value for name, value in fields.items() if value != "0"} for key, fields in image.hashes.items()
    }


def opened(parts: list[list[Transaction]]) -> Replay:
    """After the parts were archived one after the other, as redemption/ledger/archive/export.py does it."""
    state: dict[str, Any] = {}
    lots: dict[tuple[str, str], int] = {}
    for number, part in enumerate(parts):
        later = {each.subject_id for rest in parts[number + 1 :] for each in rest if each.kind == "reverse"}
        replay = Replay(WHO)
        replay.open(state, ())
        for each in part:
            if each.subject_id.startswith("acr_"):
                replay.take(each)
            for move in each.moves:
                for account, sign in ((move.source, -1), (move.target, 1)):
                    if account == "A":
                        lots[move.asset, move.lot] = lots.get((move.asset, move.lot), 0) + sign * move.amount
        if number < len(parts) - 1:
            state = replay.state(later)
            kept = dict(lots)
    begun = Replay(WHO)
    begun.open(state, [(asset, lot, amount) for (asset, lot), amount in kept.items()])
    return begun


@given(histories(), st.integers(0, 25), st.integers(0, 25))
def test_where_history_is_cut_makes_no_difference(history: list[Transaction], one: int, other: int) -> None:
    first, second = sorted((one, other))
    parts = [history[:first], history[first:second], history[second:]]
    assert shown(replayed(parts[-1], opened(parts))) == shown(replayed(history))
