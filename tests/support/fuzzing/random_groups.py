"""Random group files, and a walk of loads over them held against a plain model of what must be refused.

Every file is valid on its own. The names come from a small universe, so that files differ in all ways: things come, go,
move and come back. The model knows three reasons to refuse a load with `--prune`: bookings under a currency, bookings
at an outlet that moves, members in a level that goes.
"""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from redemption.configuration.current import read_configuration
from redemption.configuration.load import LoadRefused
from redemption.configuration.state import group_document, wanted_state
from tests.support.servers.postgres import PrivatePostgres
from tests.support.servers.private_servers import ValkeyServer
from tests.support.servers.stores import Json, Stores, group_file, stores_on
from tests.support.settlement.settlement import Book

WALK_LENGTH = 25
CURRENCIES = ("CNY", "JPY", "KWD")
NAMES = ("店", "Shop", "Café 🥐", "مقهى", "x" * 100)


def random_group(chance: random.Random, main: str = "CNY", levels: Mapping[int, str] | None = None) -> Json:
    """A valid group file, mostly in the currency `main`, mostly with the members whose levels it leaves out."""
    tiers = chance.sample([f"t{number}" for number in range(6)], chance.randint(1, 5))
    ranks = chance.sample(range(8), len(tiers))
    mixed = chance.random() < 0.1
    businesses = chance.sample([f"b{number}" for number in range(5)], chance.randint(1, 5))
    currency = {business: chance.choice(CURRENCIES) if mixed else main for business in businesses}
    outlets = chance.sample([f"out_{number}" for number in range(8)], chance.randint(0, 6))
    usual = {outlet: f"b{int(outlet[-1]) % 5}" for outlet in outlets}
    places = {
        outlet: usual[outlet] if usual[outlet] in businesses and chance.random() < 0.9 else chance.choice(businesses)
        for outlet in outlets
    }
    terminals = chance.sample([f"trm_{number}" for number in range(10)], chance.randint(0, 8) if outlets else 0)
    tills = {terminal: chance.choice(outlets) for terminal in terminals}
    group: Json = {
        "time_zone": chance.choice(("Asia/Shanghai", "Asia/Tokyo")),
        "tiers": [
            {"id": tier, "rank": rank, "name": _names(chance), "rules": {"earn_percent": chance.choice((100, 120))}}
            for tier, rank in zip(tiers, ranks, strict=True)
        ],
        "businesses": [
            {
                "id": business,
                "name": _names(chance),
                "currency": currency[business],
                "rules": {
                    "points": {"worth_minor": chance.randint(1, 3), "worth_points": chance.randint(1, 3)},
                    "earn": {"points": 1, "per_minor": chance.choice((1, 100))},
                },
                "outlets": [
                    {
                        "id": outlet,
                        "name": _names(chance),
                        **({"time_zone": "Asia/Dubai"} if chance.random() < 0.2 else {}),
                        "terminals": [
                            {"id": terminal, "name": chance.choice(NAMES)}
                            for terminal in tills
                            if tills[terminal] == outlet
                        ],
                    }
                    for outlet in outlets
                    if places[outlet] == business
                ],
            }
            for business in businesses
        ],
        "benefits": dict(_benefits(chance, tiers, currency)),
        "agreements": dict(_agreements(chance)),
        "members": list(_members(chance, tiers, businesses, levels or {})),
    }
    if chance.random() < 0.3:
        group["policy"] = {"hold_seconds": chance.randint(60, 900)}
    return group


def _names(chance: random.Random) -> Json:
    return {language: chance.choice(NAMES) for language in chance.sample(("zh-Hant", "zh-Hans", "en"), 2)}


def _benefits(chance: random.Random, tiers: list[str], currency: dict[str, str]) -> Iterator[tuple[str, Json]]:
    for benefit in chance.sample([f"x{number}" for number in range(6)], chance.randint(0, 5)):
        grantor = chance.choice(list(currency))
        alike = [business for business in currency if currency[business] == currency[grantor]]
        definition: Json = {
            "name": _names(chance),
            "granted_by": grantor,
            "discount": {"kind": "amount_off", "amount_minor": chance.randint(1, 500)},
            "businesses": chance.sample(alike, chance.randint(1, len(alike))),
        }
        if chance.random() < 0.4:
            definition["minimum_tier"] = chance.choice(tiers)
        if chance.random() < 0.3:
            definition["hours"] = [{"from": "10:00", "to": "12:30"}]
        yield benefit, definition


def _agreements(chance: random.Random) -> Iterator[tuple[str, Json]]:
    for instrument in chance.sample(("points", "benefit", "stored_value"), chance.randint(0, 3)):
        rule = {"kind": "proportion", "basis_points": chance.choice((9_000, 9_500))}
        body = {"issuer": "*", "acceptor": "*", "instrument": instrument, "rule": rule, "valid_from": "2026-01-01"}
        yield f"all-{instrument.replace('_', '-')}", body


def _members(
    chance: random.Random, tiers: list[str], businesses: list[str], levels: Mapping[int, str]
) -> Iterator[Json]:
    stranded = {number for number, tier in levels.items() if tier not in tiers and chance.random() < 0.95}
    for number in sorted({*chance.sample(range(6), chance.randint(0, 1)), *stranded}):
        entry: Json = {"number": number, "name": "Somebody", "tier": chance.choice(tiers)}
        if chance.random() < 0.1:
            business = chance.choice(businesses)
            entry["points"] = [{"business": business, "points": 100, "expires_in_months": 3}]
        yield entry


@dataclass
class Model:
    """What the stores must remember beyond the file: retired things too."""

    main: str = "CNY"
    currency: dict[str, str] = field(default_factory=dict)
    place: dict[str, str] = field(default_factory=dict)
    tiers: set[str] = field(default_factory=set)
    level: dict[int, str] = field(default_factory=dict)
    opened: set[int] = field(default_factory=set)
    booked: set[str] = field(default_factory=set)
    """Businesses and outlets."""

    def refused(self, group: Json) -> bool:
        """Whether the load of this file with `--prune` must be refused."""
        for business in group["businesses"]:
            known = self.currency.get(business["id"], business["currency"])
            if known != business["currency"] and business["id"] in self.booked:
                return True
            for outlet in business["outlets"]:
                if self.place.get(outlet["id"], business["id"]) != business["id"] and outlet["id"] in self.booked:
                    return True
        levels = self.level | {member["number"]: member["tier"] for member in group["members"]}
        gone = self.tiers - {tier["id"] for tier in group["tiers"]}
        return bool(gone & set(levels.values()))

    def loaded(self, group: Json, *, prune: bool) -> None:
        """The file is in force."""
        tiers = {tier["id"] for tier in group["tiers"]}
        self.tiers = tiers if prune else self.tiers | tiers
        for business in group["businesses"]:
            self.currency[business["id"]] = business["currency"]
            self.place.update({outlet["id"]: business["id"] for outlet in business["outlets"]})
        for member in group["members"]:
            self.level[member["number"]] = member["tier"]
            if member["number"] not in self.opened and "points" in member:
                self.opened.add(member["number"])
                self.booked.update(lot["business"] for lot in member["points"])


@dataclass
class Walked:
    """What a fuzz came to."""

    pairs: int = 0
    loaded: int = 0
    refused: int = 0
    unpruned: int = 0


async def fuzz_groups(postgres: PrivatePostgres, valkey: ValkeyServer, *, pairs: int, seed: int) -> Walked:
    """Loads of random files with `--prune` from random states. AssertionError names seed and number of the pair."""
    chance = random.Random(seed)
    walked = Walked()
    while walked.pairs < pairs:
        async with stores_on(postgres, valkey) as stores:
            model, book = Model(chance.choice(CURRENCIES)), Book(stores.pool)
            for _ in range(min(WALK_LENGTH, pairs - walked.pairs)):
                await _step(chance, stores, model, book, walked, f"seed {seed}, pair {walked.pairs + 1}")
    return walked


async def _step(chance: random.Random, stores: Stores, model: Model, book: Book, walked: Walked, where: str) -> None:
    if chance.random() < 0.3:
        group = random_group(chance, model.main, model.level)
        # Refused where it clashes with what is in force and not in the file: the state stays, which will do here too.
        with suppress(LoadRefused):
            await stores.load(group)
            model.loaded(group, prune=False)
            walked.unpruned += 1
    if model.place and chance.random() < 0.1:
        outlet, business = chance.choice(sorted(model.place.items()))
        await book.write("redeem", f"rdm_{walked.pairs}", business, (), time.time(), outlet=outlet)
        model.booked |= {business, outlet}
    group, before = random_group(chance, model.main, model.level), await stores.state()
    file = group_file(group)
    walked.pairs += 1
    if model.refused(group):
        walked.refused += 1
        with pytest.raises(LoadRefused):  # bookings or members forbid it
            await stores.load_file(file, prune=True)
        assert await stores.state() == before, f"{where}: refused, and not whole"
        return
    try:
        await stores.load_file(file, prune=True)
    except LoadRefused as refused:
        raise AssertionError(f"{where}: refused without a reason: {refused}") from refused
    walked.loaded += 1
    model.loaded(group, prune=True)
    found, wanted = await stores.exported(), group_document(wanted_state(file.group))
    kept: dict[str, Any] = found.pop("agreements")
    agreed = wanted.pop("agreements")
    assert found == wanted, f"{where}: not what the file says"
    assert {name: kept[name] for name in agreed} == agreed, f"{where}: agreements are not what the file says"
    async with stores.pool.acquire() as connection:
        configuration = await read_configuration(connection)
    assert set(configuration.benefits) == set(group["benefits"]), where
    assert [tier.tier_id for tier in configuration.tiers] == [
        tier["id"] for tier in sorted(group["tiers"], key=lambda tier: int(tier["rank"]))
    ], where
    again = await stores.load_file(file, prune=True, dry_run=True)
    assert not again.changes_anything, f"{where}: a second load would change something: {again.plan}"
