"""`POST /v1/verify` and what belongs to it, as a till and a member app see it: the ways that end well."""

import itertools
import json
import time
from typing import Any

import pytest

from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.engine.http import moment
from tests.support.engine.untouched import nothing_changes
from tests.support.ledger.oracle import until_drained
from tests.support.servers.key_space import lasting_keys_not_allowed
from tests.support.servers.stack import Member, Stack
from tests.support.suite.waiting import wait_until
from tokens.claims import CODE_LIFETIME_SECONDS, slot_at

CODE_USED = 409


def lots_of(leg: dict[str, Any]) -> list[tuple[str, int]]:
    return [(lot["issuer"], lot["points"]) for lot in leg["lots"]]


async def basket(tong: TongClient, member: Member, points: int, amount_minor: int = 25_800) -> dict[str, Any]:
    return {"code": await tong.code(member), "bill": bill(amount_minor), "legs": [points_leg(points)]}


async def test_a_scan_takes_the_points_and_answers_every_field_of_the_contract(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_500, 0), ("mall", 8_500, 3))
    answer = await tong.verify(stack.terminals["hotel"], await basket(tong, member, 2_000), fresh_key())
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "idempotency-replayed" not in answer.headers
    told = answer.json()
    assert set(told) == {
        *("redemption_id", "status", "created_at", "hold_expires_at", "member", "legs", "bill", "balance"),
    }
    assert told["redemption_id"].startswith("rdm_")
    assert told["status"] == "captured"
    assert abs(moment(told["created_at"]) - time.time()) < 10
    assert told["hold_expires_at"] is None
    assert told["member"] == {"member_id": member.member_id, "tier": "gold", "display_name": "測****"}
    (leg,) = told["legs"]
    assert (leg["kind"], leg["points"], leg["value_minor"]) == ("points", 2_000, 2_000)
    assert lots_of(leg) == [("hotel", 1_500), ("mall", 500)]
    assert {"amount_minor": 25_800, "discount_minor": 2_000, "payable_minor": 23_800}.items() <= told["bill"].items()
    assert told["balance"] == {"points": 8_000, "points_held": 0, "stored_value_minor": 0}
    assert await tong.points(member) == 8_000


async def test_a_repeat_is_answered_with_the_same_bytes_and_says_so(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    body, key = await basket(tong, member, 300), fresh_key()
    first = await tong.verify(stack.terminals["hotel"], body, key)
    async with nothing_changes(stack, member):
        for _ in range(3):
            again = await tong.verify(stack.terminals["hotel"], body, key)
            assert (again.status_code, again.content) == (201, first.content)
            assert again.headers["idempotency-replayed"] == "true"
    assert await tong.points(member) == 700


async def test_a_repeat_is_answered_as_before_when_only_spacing_and_order_of_the_json_differ(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    body, key = await basket(tong, member, 300), fresh_key()
    first = await tong.verify(stack.terminals["hotel"], body, key)
    other = json.dumps(dict(reversed(body.items())), indent=4).encode()
    again = await tong.verify(stack.terminals["hotel"], other, key)
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_repeat_is_answered_also_after_the_code_has_expired(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    code = stack.aged_code(member, CODE_LIFETIME_SECONDS - 4)  # good for another two to four seconds
    body, key = {"code": code.code, "bill": bill(), "legs": [points_leg(300)]}, fresh_key()
    first = await tong.verify(stack.terminals["hotel"], body, key)
    assert first.status_code == 201, first.text
    await wait_until("the code has expired", lambda: time.time() > code.expires_at)
    again = await tong.verify(stack.terminals["hotel"], body, key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = await tong.verify(stack.terminals["hotel"], body, fresh_key())
    assert other.json()["code"] == "code_expired", "it has expired and it was used: the first of the two is said"
    assert await tong.points(member) == 700


async def test_a_repeat_is_answered_by_another_worker(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    body, key = await basket(tong, member, 300), fresh_key()
    answers = []
    for position in range(len(stack.workers)):
        async with stack.only_worker(position), client_of(stack) as alone:
            answers.append(await alone.verify(stack.terminals["hotel"], body, key))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true"]


@pytest.mark.parametrize("forms", [("code", "digits"), ("digits", "code"), ("code", "code"), ("digits", "digits")])
async def test_code_and_digits_of_one_entry_are_one_code(
    stack: Stack, tong: TongClient, forms: tuple[str, str]
) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    (entry,) = await tong.codes(member)
    used, late = (getattr(entry, form) for form in forms)
    first = await tong.verify(stack.terminals["hotel"], {"code": used, "legs": [points_leg(100)]}, fresh_key())
    assert first.status_code == 201, first.text
    async with nothing_changes(stack, member):
        second = await tong.verify(stack.terminals["mall"], {"code": late, "legs": [points_leg(90)]}, fresh_key())
    assert (second.status_code, second.json()["code"]) == (CODE_USED, "code_used")
    assert await tong.points(member) == 900


@pytest.mark.parametrize("form", ["code", "digits"])
async def test_a_fresh_code_works_right_after_a_use(stack: Stack, tong: TongClient, form: str) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    for round_number in range(5):
        (entry,) = await tong.codes(member)
        body = {"code": getattr(entry, form), "bill": bill(1_000 + round_number), "legs": [points_leg(100)]}
        answer = await tong.verify(stack.terminals["hotel"], body, fresh_key())
        assert answer.status_code == 201, answer.text
    assert await tong.points(member) == 500


async def test_five_codes_are_for_five_refreshes_and_each_works_once(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    asked = time.time()
    entries = await tong.codes(member, 5)
    assert len({entry.code for entry in entries} | {entry.digits for entry in entries}) == 10
    expiries = [moment(entry.expires_at) for entry in entries]
    assert [late - early for early, late in itertools.pairwise(expiries)] == [20.0] * 4
    assert [e - moment(entry.refresh_at) for e, entry in zip(expiries, entries, strict=True)] == [10.0] * 5
    assert asked + 25 < expiries[0] <= time.time() + CODE_LIFETIME_SECONDS
    for amount, entry in enumerate(entries, start=1_000):
        assert len(entry.code) <= 160
        assert (len(entry.digits), entry.digits[0]) == (18, "9")
        body = {"code": entry.code, "bill": bill(amount), "legs": [points_leg(10)]}
        assert (await tong.verify(stack.terminals["hotel"], body, fresh_key())).status_code == 201
    assert await tong.points(member) == 950


async def test_lots_are_spent_first_to_expire_first_across_issuers_and_reported_exactly(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("mall", 300, 2), ("spa", 500, 5), ("hotel", 200, 0), ("hotel", 100, 2))
    expected = {
        350: [("hotel", 200), ("hotel", 100), ("mall", 50)],
        249: [("mall", 249)],
        2: [("mall", 1), ("spa", 1)],
        499: [("spa", 499)],
    }
    left = 1_100
    for points, lots in expected.items():
        answer = await tong.verify(stack.terminals["gym"], await basket(tong, member, points), fresh_key())
        assert answer.status_code == 201, answer.text
        assert lots_of(answer.json()["legs"][0]) == lots
        left -= points
        assert answer.json()["balance"]["points"] == left
    assert await tong.points(member) == 0
    assert (await tong.me(member))["lots"] == []


async def test_the_ledger_records_who_issued_what_and_where_it_was_taken(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("mall", 300, 2), ("hotel", 200, 0))
    key = fresh_key()
    answer = await tong.verify(stack.terminals["gym"], await basket(tong, member, 350), key)
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
        (row,) = await ledger.fetch(
            "SELECT * FROM ledger_transaction WHERE subject_id = $1", answer.json()["redemption_id"]
        )
        postings = await ledger.fetch(
            "SELECT account, owner, issuer, amount FROM ledger_posting WHERE (bucket, entry_ms, entry_seq) = "
            "($1, $2, $3)",
            row["bucket"],
            row["entry_ms"],
            row["entry_seq"],
        )
    terminal = stack.terminals["gym"]
    assert (row["kind"], row["member_id"], row["business"]) == ("redeem", member.member_id, "gym")
    assert (row["outlet"], row["terminal"], row["idempotency_key"]) == (terminal.outlet, terminal.terminal_id, key)
    assert (row["bill_reference"], row["bill_amount_minor"], row["currency"]) == (
        *("POS-7-20261122-0001", 25_800, "CNY"),
    )
    assert sorted(tuple(posting) for posting in postings) == [
        ("business_redeemed", "gym", "hotel", 200),
        ("business_redeemed", "gym", "mall", 150),
        ("member_available", member.member_id, "hotel", -200),
        ("member_available", member.member_id, "mall", -150),
    ]


async def test_what_points_take_off_the_bill_follows_the_business_and_is_rounded_down(
    stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    answer = await tong.verify(stack.terminals["property"], await basket(tong, member, 101, 50), fresh_key())
    assert answer.status_code == 201, answer.text
    assert answer.json()["legs"][0]["value_minor"] == 50, "two points are one fen there"
    assert answer.json()["bill"]["payable_minor"] == 0
    assert await tong.points(member) == 899


@pytest.mark.parametrize("body", [{"legs": []}, {}, {"bill": bill(), "legs": []}])
async def test_an_identity_check_takes_nothing_and_uses_the_code(
    stack: Stack, tong: TongClient, body: dict[str, Any]
) -> None:
    member = await stack.member(("hotel", 1_000, 1), tier="diamond")
    code = await tong.code(member)
    answer = await tong.verify(stack.terminals["park"], {"code": code, **body}, fresh_key())
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["member"]["member_id"], told["member"]["tier"]) == (member.member_id, "diamond")
    assert (told["legs"], told["balance"]["points"], await tong.points(member)) == ([], 1_000, 1_000)
    again = await tong.verify(stack.terminals["park"], {"code": code, **body}, fresh_key())
    assert again.json()["code"] == "code_used"


@pytest.mark.parametrize("absent", [{}, {"bill": None}])
async def test_points_can_be_taken_without_a_bill(stack: Stack, tong: TongClient, absent: dict[str, Any]) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    body = {"code": await tong.code(member), "legs": [points_leg(1_000)], **absent}
    answer = await tong.verify(stack.terminals["hotel"], body, fresh_key())
    assert answer.status_code == 201, answer.text
    assert (answer.json()["bill"], answer.json()["balance"]["points"]) == (None, 0)


async def test_two_terminals_may_use_the_same_key(stack: Stack, tong: TongClient) -> None:
    member, key = await stack.member(("hotel", 1_000, 1)), fresh_key()
    for business in ("hotel", "mall"):
        answer = await tong.verify(stack.terminals[business], await basket(tong, member, 100), key)
        assert answer.status_code == 201, answer.text
    assert await tong.points(member) == 800


async def test_the_longest_and_the_oddest_visible_keys_are_taken(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    for key in ("!", "~" * 64, "{b1}:key:x", "a:b/c?d=%20&'\"\\", "0" * 63 + "*"):
        body, unique = {"code": await tong.code(member)}, (key[:-8] + fresh_key()[-8:] if len(key) > 8 else key)
        first = await tong.verify(stack.terminals["spa"], body, unique)
        again = await tong.verify(stack.terminals["spa"], body, unique)
        assert (first.status_code, again.status_code) == (201, 201), (key, first.text)
        assert first.content == again.content


@pytest.mark.parametrize("form", ["code", "digits"])
@pytest.mark.parametrize("around", [" {}", "{}\r\n", "\t{}\t", "\n{} \r"])
async def test_white_space_round_a_code_is_what_scanners_add(
    stack: Stack, tong: TongClient, form: str, around: str
) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    (entry,) = await tong.codes(member)
    body = {"code": around.format(getattr(entry, form))}
    assert (await tong.verify(stack.terminals["hotel"], body, fresh_key())).status_code == 201


async def test_a_redemption_is_shown_to_its_own_business_only(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    made = await tong.verify(stack.terminals["hotel"], await basket(tong, member, 300), fresh_key())
    redemption_id = made.json()["redemption_id"]
    own = await tong.redemption(stack.terminals["hotel"], redemption_id)
    assert own.status_code == 200
    for leg, told in zip(made.json()["legs"], own.json()["legs"], strict=True):
        assert leg.items() <= told.items()
    assert (made.json() | {"legs": []}).items() <= (own.json() | {"legs": []}).items()
    other = await tong.redemption(stack.terminals["mall"], redemption_id)
    never = await tong.redemption(stack.terminals["mall"], redemption_id[:-4] + "0000")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")
    assert other.content == never.content, "another business's id is as unknown as one that never was"


@pytest.mark.parametrize(
    "wrong",
    ["rdm_", "x", "rdm_" + "0" * 17, "rdm_" + "z" * 18, "RDM_" + "0" * 18, "%00", "rdm_é", "mem_0000001", "a" * 900],
)
async def test_an_id_that_is_none_is_not_found(stack: Stack, tong: TongClient, wrong: str) -> None:
    answer = await tong.redemption(stack.terminals["hotel"], wrong)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_member_sees_level_and_balance_by_expiry(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("mall", 300, 2), ("hotel", 200, 0), tier="silver")
    told = await tong.me(member)
    assert (told["member_id"], told["tier"], told["balance"]["points"]) == (member.member_id, "silver", 500)
    assert [(lot["issuer"], lot["points"]) for lot in told["lots"]] == [("hotel", 200), ("mall", 300)]


async def test_codes_of_now_are_of_this_moments_slot(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1, 1))
    before = slot_at(time.time())
    (entry,) = await tong.codes(member)
    assert before <= slot_at(moment(entry.expires_at) - CODE_LIFETIME_SECONDS) <= slot_at(time.time())


async def test_every_key_of_the_hot_store_has_an_end_or_is_meant_to_stay(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 1_000, 1))
    for points in (100, 5_000):
        await tong.verify(stack.terminals["hotel"], await basket(tong, member, points), fresh_key())
    async with stack.hot() as hot:
        assert await lasting_keys_not_allowed(hot) == []
        await hot.set("{b1}:stray", "1")
        try:
            assert await lasting_keys_not_allowed(hot) == ["{b1}:stray is in no row of redemption/hot/keys.py"]
        finally:
            await hot.delete("{b1}:stray")
