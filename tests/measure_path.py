"""Time of the gateway's own part of a scan: `python -m tests.measure_path`. docs/explanation/performance.md has the
figures.

From a whole request to a whole response, with the hot store's reply canned: no sockets, no uvicorn, no Lua. Beside it
the parts that are measured alone. Figures are CPU time, the least of the rounds, because other work only adds to it.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, cast

import msgspec

from gateway.auth.authentication import KeyAuthenticator
from gateway.hot_path.verify import VerifyEndpoint
from gateway.observability.hot_store_health import HotStoreHealth
from gateway.observability.metrics import Metrics
from gateway.observability.scan_counters import ScanCounters
from redemption.addresses import Addresses
from redemption.configuration.current import ConfigurationFollower, KeyHolder
from redemption.domain.commands import BenefitLeg, Bill, BillLine, Leg, PointsLeg, StoredValueLeg, VerifyRequest
from redemption.domain.outcomes import NO_REFUSAL
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.rules.definitions import AmountOff, BenefitDefinition, Discount, Hours, Item, PercentOff
from redemption.rules.pricing import price
from redemption.service import Redemptions
from tests.support.engine import world
from tokens import api_keys
from tokens.claims import slot_at
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import KeyRing

ROUNDS: Final = 60
CALLS: Final = 500
NOW: Final = 1_795_881_600.0
TERMINAL: Final = world.TERMINALS[0]
BILL: Final = Bill("T-1", 100_000, "CNY", "STAY-1", (BillLine("dining", 60_000), BillLine("spa", 30_000)))
DISCOUNTS: Final[tuple[Discount, ...]] = (
    PercentOff(10),
    PercentOff(5, 900),
    AmountOff(70),
    AmountOff(30),
    Item(50),
    Item(9),
)
LEGS: Final[tuple[Leg, ...]] = (
    *(BenefitLeg(benefit_id=f"benefit{number}") for number in range(len(DISCOUNTS))),
    PointsLeg(points=50),
    StoredValueLeg(amount_minor=200),
)
CATALOGUE: Final = {
    f"benefit{number}": BenefitDefinition(
        name=world.NAME,
        granted_by="hotel",
        discount=discount,
        categories=("dining", "spa") if number % 2 else None,
        weekdays=(1, 2, 3, 4, 5, 6, 7),
        hours=(Hours("00:00", "23:59"),),
        minimum_spend_minor=100,
        per_stay=1,
        stacking_group=f"group{number}",
    )
    for number, discount in enumerate(DISCOUNTS)
}

SIGNATURE: Final = assemble().functions["redeem"]
PLACE_OF: Final = {name: 3 + place for place, name in enumerate((*SIGNATURE.keys, *SIGNATURE.args))}
"""Where a key or an argument of functions/redeem.lua is in its FCALL."""


class CannedStore:
    """Answers each FCALL of functions/redeem.lua as if the scan had been applied."""

    async def execute(self, *args: bytes | str | int, deadline_seconds: float) -> Any:
        redemption_id, basket = args[PLACE_OF["redemption_id"]], args[PLACE_OF["basket"]]
        assert isinstance(redemption_id, str)
        assert isinstance(basket, bytes)
        record = b"2\ncaptured\n1795881600000\nmem_0000001\ngold\nA\nhotel\n95,0,0\n0,points,202711.hotel,5\n" + basket
        return [redemption_id.encode(), 0, 0, -1, -1, -1, 299, 7, record]


def worker() -> tuple[VerifyEndpoint, list[tuple[dict[str, Any], bytes]]]:
    """Return an endpoint over the canned store, and `CALLS` requests of as many members."""
    key = api_keys.mint(api_keys.KeyKind.TERMINAL, "dev")
    holder = KeyHolder(
        key.key_id, api_keys.fingerprint(key), False, TERMINAL, frozenset(), None, frozenset({"redeem"}), None, None
    )
    configuration = replace(world.configuration(world.POLICIES["grace"]), keys={key.key_id: holder})
    follower = cast(ConfigurationFollower, SimpleNamespace(current=configuration))
    store = HotStore(CannedStore(), assemble())
    ring = KeyRing.create("dev", "HS256")
    endpoint = VerifyEndpoint(
        Redemptions(store, Addresses(lambda: configuration, clock, cluster=False)),
        KeyAuthenticator(follower, "dev", clock),
        CodeReader(ring),
        Metrics(),
        clock,
        ScanCounters(clock),
        cast(HotStoreHealth, SimpleNamespace(refuse_if_full=lambda: None)),
    )
    issuer = CodeIssuer(ring, "HS256", clock)
    requests: list[tuple[dict[str, Any], bytes]] = []
    for number in range(CALLS):
        headers = [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {key.text}".encode()),
            (b"content-type", b"application/json"),
            (b"idempotency-key", b"key-%d" % number),
        ]
        code = issuer.issue(number, slot_at(NOW)).code
        asked = VerifyRequest(code, Bill("T-1", 10_000, "CNY"), (PointsLeg(points=5),))
        requests.append(({"type": "http", "headers": headers}, msgspec.json.encode(asked)))
    return endpoint, requests


def clock() -> float:
    return NOW


async def scans(endpoint: VerifyEndpoint, requests: list[tuple[dict[str, Any], bytes]]) -> float:
    """Return the least CPU time of a scan over the rounds, in microseconds."""
    times = []
    for _ in range(ROUNDS):
        fresh = [(dict(scope), body) for scope, body in requests]
        started = time.process_time()
        for scope, body in fresh:
            status, _, _ = await endpoint.answer(scope, body)
            assert status == 201
        times.append(time.process_time() - started)
    return min(times) / CALLS * 1e6


def pricing(legs: tuple[Leg, ...], bill: Bill) -> float:
    """Return the least CPU time of pricing a basket over the rounds, in microseconds."""
    local = datetime.fromtimestamp(NOW, TERMINAL.time_zone)
    assert price(TERMINAL.place, CATALOGUE, legs, bill, local).verdict is NO_REFUSAL
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            price(TERMINAL.place, CATALOGUE, legs, bill, local)
        times.append(time.process_time() - started)
    return min(times) / CALLS * 1e6


def main() -> None:
    endpoint, requests = worker()
    print(f"request to response {asyncio.run(scans(endpoint, requests)):6.2f} microseconds")
    print(f"price, points alone {pricing((PointsLeg(points=5),), Bill('T-1', 10_000, 'CNY')):6.2f} microseconds")
    print(f"price, eight legs   {pricing(LEGS, BILL):6.2f} microseconds")


if __name__ == "__main__":
    main()
