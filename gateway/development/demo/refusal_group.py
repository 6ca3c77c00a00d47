"""The members, the till and the benefits that `tong demo codes` needs beside the demo group, in a development stack.

Guarantees: nothing of the demo group is touched, neither its members' balances nor its rules; it is made at the first
use and found again afterwards. All of it belongs to one business of its own, whose only till is TILL.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.administration.keys import KeyWanted, make_key, revoke
from gateway.administration.members import set_member_status
from gateway.development.private_files import write_private
from gateway.settings import Settings
from redemption.configuration.current import POLL_SECONDS, Configuration, read_configuration
from redemption.configuration.group import (
    BusinessEntry,
    BusinessRules,
    GrantEntry,
    Group,
    LotEntry,
    MemberEntry,
    OutletEntry,
    StoredValueEntry,
    TerminalEntry,
)
from redemption.configuration.group_file import GroupFile
from redemption.configuration.load import load_group
from redemption.database import open_pool
from redemption.domain.clock import system_clock
from redemption.domain.members import member_id
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.library import assemble
from redemption.hot.store import HotStore
from redemption.rules.definitions import AmountOff, BenefitDefinition, Item, PointRules
from tokens import api_keys

KNOWN_SECONDS: Final = 4 * POLL_SECONDS
"""The time after which every worker knows a key that was made or revoked: each asks four times as often."""
BUSINESS: Final = "test-codes"
TILL: Final = "trm_test_codes_1"
CURRENCY: Final = "CNY"
MINIMUM_POINTS: Final = 100
MINIMUM_SPEND_MINOR: Final = 20_000
POINTS: Final = 1_000_000
STORED_MINOR: Final = 50_000

MEMBER: Final = 99_999_901
BLOCKED_MEMBER: Final = 99_999_902
REVOKED_MEMBER: Final = 99_999_903
"""Every code made until `make_refusal_group` is revoked, those made for later too."""
MEMBERS: Final = (MEMBER, BLOCKED_MEMBER, REVOKED_MEMBER)

ELSEWHERE: Final = "test-elsewhere"
OVER: Final = "test-over"
USED_UP: Final = "test-used-up"
HIGHEST: Final = "test-highest"
MINIMUM: Final = "test-minimum"
ALONE: Final = "test-alone"
_HELD: Final = (HIGHEST, MINIMUM, ALONE)


@dataclass(frozen=True, slots=True)
class TillKeys:
    """Keys of TILL: one for everything, one that was revoked, one that may refund only."""

    all: str = field(repr=False)
    revoked: str = field(repr=False)
    refund_only: str = field(repr=False)


async def make_refusal_group(settings: Settings) -> TillKeys:
    """Make everything that is missing; the third member's codes are revoked anew. Raises the stores' faults."""
    assert settings.postgres_dsn is not None
    assert settings.valkey_url is not None
    pool = await open_pool(settings.postgres_dsn.get_secret_value(), size=2, name="tong-demo")
    hot = HotConnection(
        Address.from_url(settings.valkey_url.get_secret_value()), in_flight_max=2 * len(MEMBERS), name="tong-demo"
    )
    try:
        await hot.start()
        async with pool.acquire() as connection:
            configuration = await read_configuration(connection)
        store = HotStore(hot, assemble())
        await load_group(
            GroupFile(_group(configuration)),
            pool,
            store,
            buckets=configuration.buckets,
            clock=system_clock,
            say=lambda _: None,
        )
    finally:
        await hot.close(1.0)
        await pool.close()
    await set_member_status(settings, member_id(BLOCKED_MEMBER), blocked=True, revoke_codes=False)
    await set_member_status(settings, member_id(REVOKED_MEMBER), blocked=None, revoke_codes=True)
    keys, fresh = await _keys(settings, {key_id for key_id, holder in configuration.keys.items() if not holder.revoked})
    if fresh:
        await asyncio.sleep(KNOWN_SECONDS)
    return keys


def _group(configuration: Configuration) -> Group:
    """Return the group of the test members only: the group's own terms stay as they are."""
    lowest, highest = configuration.tiers[0].tier_id, configuration.tiers[-1].tier_id
    names = {"zh-Hant": "測試碼", "zh-Hans": "测试码", "en": "Test codes"}
    amount = AmountOff(100)
    benefits = {
        ELSEWHERE: BenefitDefinition(
            names, BUSINESS, amount, businesses=tuple(sorted(set(configuration.businesses) - {BUSINESS}))[:1]
        ),
        OVER: BenefitDefinition(names, BUSINESS, amount, last_day=date(2020, 1, 31)),
        USED_UP: BenefitDefinition(names, BUSINESS, amount),
        HIGHEST: BenefitDefinition(names, BUSINESS, amount, minimum_tier=highest),
        MINIMUM: BenefitDefinition(names, BUSINESS, amount, minimum_spend_minor=MINIMUM_SPEND_MINOR),
        ALONE: BenefitDefinition(names, BUSINESS, Item(100), exclusive=True),
    }
    outlet = OutletEntry("out_test_codes", names, (TerminalEntry(TILL, "Test codes 1"),))
    rules = BusinessRules(PointRules(minimum_points=MINIMUM_POINTS))
    return Group(
        time_zone=str(configuration.time_zone),
        tiers=(),
        businesses=(BusinessEntry(BUSINESS, names, CURRENCY, (outlet,), rules),),
        members=(
            MemberEntry(
                MEMBER,
                "Test",
                lowest,
                (LotEntry(BUSINESS, POINTS, 120),),
                tuple(GrantEntry(benefit, 1, 120) for benefit in _HELD),
                (StoredValueEntry(BUSINESS, STORED_MINOR),),
            ),
            MemberEntry(BLOCKED_MEMBER, "Blocked", lowest),
            MemberEntry(REVOKED_MEMBER, "Revoked", lowest),
        ),
        benefits=benefits,
        policy=configuration.policy,
    )


async def _keys(settings: Settings, in_force: set[str]) -> tuple[TillKeys, bool]:
    """Return the till's keys, kept beside the demo's others, and whether one was made just now."""
    file = settings.home / "demo-keys.json"
    kept: dict[str, str] = json.loads(file.read_bytes()) if file.exists() else {}
    found, fresh = [], False
    for use, scopes in (("all", KeyWanted(TILL).scopes), ("revoked", ("redeem",)), ("refund only", ("refund",))):
        name = f"{TILL} {use}"
        text = kept.get(name, "")
        known = _key_id(text, settings)
        if known is None or (use != "revoked" and known not in in_force):
            text = kept[name] = (await make_key(settings, KeyWanted(TILL, scopes=scopes))).text
            write_private(file, json.dumps(kept).encode())
            known, fresh = _key_id(text, settings), True
        if use == "revoked":
            assert known is not None
            await revoke(settings, known)
        found.append(text)
    return TillKeys(*found), fresh


def _key_id(text: str, settings: Settings) -> str | None:
    parsed = api_keys.parse(text, settings.environment)
    return parsed.key_id if isinstance(parsed, api_keys.ApiKey) else None
