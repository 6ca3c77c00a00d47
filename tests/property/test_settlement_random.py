"""Any history of redemptions, holds, refunds and reversals: what settlement makes of it, against the ledger.

Hypothesis draws the steps and a seed; the seed of a failure is part of the example it prints.
"""

import asyncio
import datetime
import random
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any

from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from redemption.database import Pool
from redemption.settlement.agreements import list_agreements
from redemption.settlement.definitions import Proportion
from redemption.settlement.disputes import Dispute, Disputes
from redemption.settlement.lines import Line
from redemption.settlement.netting import business_nets, pair_nets, settle_up
from redemption.settlement.periods import Closed, Period, Periods
from redemption.settlement.production import Production
from redemption.settlement.reading import SettlementReader
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import BUSINESSES, Book, Move, agree, at, differences, group_pool

STEPS = (
    "redeem",
    "redeem",
    "redeem",
    "hold",
    "capture",
    "refund",
    "refund_all",
    "reverse",
    "produce",
    "close",
    "agree",
    "dispute",
)
DAY = 86_400.0
RULES: tuple[dict[str, Any], ...] = (
    {"kind": "proportion", "basis_points": 9_733},
    {"kind": "agreed_price", "price_minor": 617, "per_units": 100},
    {"kind": "purchase_price", "price_minor": 3},
    {"kind": "fixed_fee", "fee_minor": 101},
)
ASSETS = ("points", "benefit:breakfast", "CNY")


@dataclass
class Taken:
    """A redemption as its lots stand: [asset, lot, units, captured, given back]."""

    subject_id: str
    business: str
    bucket: int
    parts: list[list[Any]]
    held: bool
    ended: bool = False


@dataclass
class History:
    """Plays steps: writes the ledger, settles, closes, agrees, disputes; checks what must hold at each close."""

    pool: Pool
    chance: random.Random
    book: Book
    now: float = at("2026-10-20T00:00")
    redemptions: list[Taken] = field(default_factory=list)
    closed: dict[int, tuple[Period, ...]] = field(default_factory=dict)
    agreed: int = 0

    async def play(self, step: str) -> None:
        self.now += self.chance.uniform(0, 3 * DAY)
        await {
            "redeem": self.redeem,
            "hold": self.redeem,
            "capture": self.capture,
            "refund": self.refund,
            "refund_all": self.refund,
            "reverse": self.refund,
            "produce": self.produce,
            "close": self.close,
            "agree": self.agree,
            "dispute": self.dispute,
        }[step](step)

    def when(self) -> float:
        """Now, or some time ago: an entry that reaches the ledger late."""
        return self.now - (self.chance.uniform(0, 40 * DAY) if self.chance.random() < 0.15 else 0)

    async def redeem(self, step: str) -> None:
        business = self.chance.choice(BUSINESSES)
        number = len(self.redemptions) + 1
        parts: list[list[Any]] = []
        legs: list[dict[str, Any]] = []
        for _ in range(self.chance.randint(1, 3)):
            asset = self.chance.choice(ASSETS)
            lots = sorted(
                f"{month}.{issuer}"
                for issuer in self.chance.sample(BUSINESSES, self.chance.randint(1, 3))
                for month in self.chance.sample(("202701", "202705"), self.chance.randint(1, 2))
            )
            units = [self.chance.choice((1, 2, 3, 7, 1000, 3331)) for _ in lots]
            value = sum(units) if asset == "CNY" else self.chance.randint(0, 5_000)
            name = {"points": "points", "CNY": "amount_minor"}.get(asset, "uses")
            kind = {"points": "points", "CNY": "stored_value"}.get(asset, "benefit")
            leg = {"kind": kind, name: sum(units), "value_minor": value}
            legs.append(leg | ({"benefit_id": "breakfast"} if kind == "benefit" else {}))
            parts += [[asset, lot, amount, 0, 0] for lot, amount in zip(lots, units, strict=True)]
        taken = Taken(f"rdm_{number}", business, number % 3, parts, step == "hold")
        target = "H" if taken.held else "R"
        for part in parts:
            part[3] = 0 if taken.held else part[2]
        moves: list[Move] = [(part[0], part[1], "A", target, part[2]) for part in parts]
        await self.book.write(step, taken.subject_id, business, moves, self.when(), legs=legs, bucket=taken.bucket)
        self.redemptions.append(taken)

    async def capture(self, _: str) -> None:
        held = [one for one in self.redemptions if one.held]
        if not held:
            return
        taken = self.chance.choice(held)
        moves: list[Move] = []
        wanted = {
            asset: self.chance.randint(0, sum(part[2] for part in taken.parts if part[0] == asset))
            for asset in {part[0] for part in taken.parts}
        }
        for part in taken.parts:
            part[3] = min(wanted[part[0]], part[2])
            wanted[part[0]] -= part[3]
            moves += [(part[0], part[1], "H", "R", part[3])] if part[3] else []
            moves += [(part[0], part[1], "H", "A", part[2] - part[3])] if part[2] > part[3] else []
        taken.held = False
        await self.book.write("capture", taken.subject_id, taken.business, moves, self.when(), bucket=taken.bucket)

    async def refund(self, step: str) -> None:
        open_ones = [one for one in self.redemptions if not one.held and not one.ended]
        if not open_ones:
            return
        taken = self.chance.choice(open_ones)
        moves: list[Move] = []
        for part in reversed(taken.parts):
            left = part[3] - part[4]
            back = self.chance.randint(0, left) if step == "refund" else left
            part[4] += back
            moves += [(part[0], part[1], "R", self.chance.choice("AX"), back)] if back else []
        taken.ended = step != "refund"
        kind = "reverse" if step == "reverse" else "refund"
        await self.book.write(kind, taken.subject_id, taken.business, moves, self.when(), bucket=taken.bucket)

    async def produce(self, _: str) -> None:
        await Production(self.pool, batch_transactions=self.chance.choice((1, 3, 1000))).run()

    async def close(self, _: str) -> None:
        await self.produce("")
        local = datetime.datetime.fromtimestamp(self.now, datetime.UTC) + datetime.timedelta(hours=8)
        last = (local.date().replace(day=1) - datetime.timedelta(days=1)).strftime("%Y%m")
        for month in (202608, 202609, 202610, 202611, 202612, 202701, 202702, 202703, 202704):
            if month <= int(last):
                result = await Periods(self.pool, lambda: self.now).close(month, "test")
                assert isinstance(result, Closed), result
                # Closed before: the same, however the agreements have changed since.
                before = self.closed.setdefault(month, result.periods)
                assert [one.sha256 for one in before] == [one.sha256 for one in result.periods]
                assert [one.totals for one in before] == [one.totals for one in result.periods]

    async def agree(self, _: str) -> None:
        self.agreed += 1
        instrument = self.chance.choice(("points", "benefit", "stored_value"))
        issuer = self.chance.choice(("*", *BUSINESSES[:2]))
        begins = datetime.datetime.fromtimestamp(self.now - self.chance.uniform(-20, 60) * DAY, datetime.UTC).date()
        await agree(
            self.pool,
            f"{instrument}-{'any' if issuer == '*' else issuer}",
            instrument=instrument,
            issuer=issuer,
            rule=self.chance.choice(RULES),
            tax_basis_points=self.chance.choice((0, 600)),
            valid_from=str(begins),
            rounding=self.chance.choice(("half_up", "down")),
            cap_minor=self.chance.choice((None, None, 40)),
        )

    async def dispute(self, _: str) -> None:
        # Not what is given back whole already: a correction after that stands, as both agreed on it.
        everything = await all_lines(self.pool)
        left: Counter[str] = Counter()
        for line in everything:
            left[line.reference or line.line_id] += line.units
        lines = [
            line
            for line in everything
            if line.kind == "use" and line.issuer != line.acceptor and left[line.line_id] > 0
        ]
        if not lines:
            return
        line = self.chance.choice(lines)
        disputes = Disputes(self.pool, lambda: self.now)
        opened = await disputes.open(line.line_id, line.acceptor, "too little", "test")
        if isinstance(opened, Dispute):
            amount = self.chance.choice((None, line.amount_minor + self.chance.randint(-5, 50)))
            assert isinstance(await disputes.resolve(opened.dispute_id, amount, "so be it", "test"), Dispute)


async def all_lines(pool: Pool) -> list[Line]:
    reader = SettlementReader(pool)
    months = [row[0] for row in await pool.fetch("SELECT DISTINCT period_month FROM settlement_line ORDER BY 1")]
    return [line for month in months for line in [one async for one in reader.lines(month)]]


async def views_are_equal_and_opposite(pool: Pool, periods: list[Period]) -> None:
    """What each business says of each other, computed from the lines it sees, against the period's totals."""
    reader = SettlementReader(pool)
    for period in periods:
        if period.party_low == period.party_high:
            continue
        views = []
        for mine, other in ((period.party_low, period.party_high), (period.party_high, period.party_low)):
            net = 0
            async for line in reader.lines(period.month, mine, other):
                net += (1 if line.acceptor == mine else -1) * (line.amount_minor + line.tax_minor)
            views.append(net)
        assert views[0] == -views[1]
        stated = sum((1 if total.acceptor == period.party_low else -1) * total.payable_minor for total in period.totals)
        assert stated == views[0]
    payments = pair_nets(total for period in periods for total in period.totals)
    nets = business_nets(payments)
    for of_currency in nets.values():
        assert sum(of_currency.values()) == 0
    assert business_nets(settle_up(nets)) == {
        currency: {name: net for name, net in of_currency.items() if net}
        for currency, of_currency in nets.items()
        if any(of_currency.values())
    }


async def proportions_are_rounded_once(pool: Pool) -> None:
    """Of each use and agreement without a cap: the parts sum to the whole, and none is a unit away from exact."""
    terms = {(one.agreement_id, one.version): one.definition for one in await list_agreements(pool)}
    uses = [line for line in await all_lines(pool) if line.kind == "use" and line.agreement_id is not None]

    def one_use(line: Line) -> tuple[Any, ...]:
        return (line.bucket, line.entry_ms, line.asset, line.agreement_id, line.agreement_version)

    for key, group in groupby(sorted(uses, key=one_use), key=one_use):
        definition, lines = terms[key[3:]], list(group)
        if not isinstance(definition.rule, Proportion) or definition.cap_minor is not None:
            continue
        exact = Fraction(sum(line.face_value_minor for line in lines) * definition.rule.basis_points, 10_000)
        whole = int(exact + Fraction(1, 2)) if definition.rounding == "half_up" else int(exact)
        assert sum(line.amount_minor for line in lines) == whole
        for line in lines:
            assert abs(line.amount_minor - Fraction(line.face_value_minor * definition.rule.basis_points, 10_000)) < 2


async def play(postgres: PrivatePostgres, steps: list[str], seed: int) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        history = History(pool, random.Random(seed), Book(pool))
        for step in steps:
            await history.play(step)
            if step in ("produce", "close"):
                assert await differences(pool) == []
        # In the end everything is agreed on, given back and closed.
        for instrument in ("points", "benefit", "stored_value"):
            await agree(pool, f"{instrument}-any", instrument=instrument, rule=RULES[1], valid_from="2026-01-01")
        history.now += 40 * DAY
        await history.close("")
        await history.close("")
        periods = await Periods(pool, lambda: history.now).listed()
        lines = await all_lines(pool)
        event(f"{len(history.closed)} months, {min(len(lines) // 20, 5) * 20}+ lines")
        assert await differences(pool) == []
        assert len({line.line_id for line in lines}) == len(lines)
        assert sum(period.lines for period in periods) == len(lines)
        for _, of_month in groupby(periods, key=lambda period: period.month):
            await views_are_equal_and_opposite(pool, list(of_month))
        await proportions_are_rounded_once(pool)


@settings(
    max_examples=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=25, max_size=90), seed=st.integers(0, 2**32 - 1))
def test_whatever_happens_settlement_says_what_the_ledger_says(
    postgres: PrivatePostgres, steps: list[str], seed: int
) -> None:
    note(f"seed {seed}")
    asyncio.run(play(postgres, steps, seed))
