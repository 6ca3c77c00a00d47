"""The moves of a transaction as the ledger has them, for whoever reads rows that the writer checked before."""

from typing import NamedTuple


class Movement(NamedTuple):
    """One move of a transaction; accounts by their letters (redemption/ledger/entries.py)."""

    asset: str
    lot: str
    source: str
    target: str
    amount: int

    @property
    def issuer(self) -> str:
        return self.lot.partition(".")[2]


def movements(moves: str) -> tuple[Movement, ...]:
    """Read the text of a transaction's moves, as the SQL function `ledger_moves` returns it."""
    words = [move.split(",") for move in moves.split(";") if move]
    return tuple([Movement(asset, lot, source, target, int(amount)) for asset, lot, source, target, amount in words])
