"""A key that is known is answered by the key, whatever became of the code: every call that takes a key, in every way in
which a code can have become old, refused or unreadable, and from wherever the terminal stands by then.

tests/support/fuzzing/spoilt_codes.py lists the ways and makes the requests.
"""

from collections.abc import AsyncIterator

import pytest

from redemption.domain.limits import GUESSES_PER_TERMINAL
from redemption.hot import keys
from tests.support.api.client import bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.fuzzing.spoilt_codes import WAYS, Till, Way, Worker, age, codes_of, running_worker, tills_of, told
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until
from tokens.claims import slot_at
from tokens.codec import CodeIssuer
from tokens.keyring import KeyRing

REPLAYED = "idempotency-replayed"
DAY = 86_400
TILLS = len(WAYS) + sum(way.unreadable for way in WAYS) + 4


@pytest.fixture(scope="module")
async def one_worker(own: Stack) -> AsyncIterator[Worker]:
    async with running_worker(own) as running:
        yield running


@pytest.fixture(scope="module")
async def tills(one_worker: Worker) -> list[Till]:
    return await tills_of(one_worker, TILLS)


@pytest.fixture
async def worker(one_worker: Worker) -> AsyncIterator[Worker]:
    yield one_worker
    one_worker.ahead = 0.0
    async with one_worker.stack.ledger() as ledger:  # the stack is everybody's, whose group has one currency
        await ledger.execute("UPDATE business SET currency = 'CNY' WHERE business_id LIKE 'keys-moved-%'")


@pytest.fixture
async def till(worker: Worker, tills: list[Till]) -> Till:
    """A till that no other test uses."""
    return tills.pop()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_every_call_is_answered_by_its_key_and_its_sale_can_be_cancelled(till: Till, way: Way) -> None:
    codes = await codes_of(till, way.form)
    story, scan = await told(till, codes)
    await way.happens(till, codes, story.asked[0].body["code"])  # type: ignore[index]

    for asked in story.asked:
        again = await till.post(asked.path, asked.body, asked.key)
        assert (again.status_code, again.content) == (asked.answer.status_code, asked.answer.content), asked.name
        assert again.headers[REPLAYED] == "true", asked.name
        other = await till.post(asked.path, {**(asked.body or {}), "legs": [points_leg(7)]}, asked.key)
        assert other.status_code in {400, 422}, f"{asked.name}: another body under the same key"

    assert scan.body is not None
    for attempt in ("first", "repeat"):
        undone = await till.post("/v1/cancel", {"idempotency_key": scan.key, "code": scan.body["code"]})
        assert undone.status_code == 200, f"{attempt}: {undone.text}"
        assert undone.json()["effect"] == "reversed"
        assert undone.json()["redemption"]["redemption_id"] == scan.document["redemption_id"]
        assert undone.json()["redemption"]["status"] == "reversed"
    late = await till.post(scan.path, scan.body, scan.key)
    assert problem_of(late)["code"] == "cancelled"
    assert await till.guesses() == 0, "a repeat is never a guess"


@pytest.mark.parametrize("way", [way for way in WAYS if way.unreadable], ids=lambda way: way.name)
async def test_of_a_key_nobody_knows_an_unreadable_code_applies_nothing_and_its_cancel_makes_sure(
    till: Till, way: Way
) -> None:
    codes = await codes_of(till, way.form)
    body = {"code": next(codes), "bill": bill(), "legs": [points_leg(100)]}
    refused_body = {"code": next(codes), "legs": [points_leg(1_000_000)]}
    refused_key = fresh_key()
    refused = problem_of(await till.post("/v1/verify", refused_body, refused_key))
    await way.happens(till, codes, body["code"])  # type: ignore[arg-type]

    key = fresh_key()
    cancel = {"idempotency_key": key, "code": body["code"]}
    first = problem_of(await till.post("/v1/cancel", cancel))
    assert (first["code"], first["outcome"]) == ("code_forged", "not_applied")
    assert (await till.post("/v1/cancel", cancel)).json() == {"effect": "tombstoned", "redemption": None}
    assert problem_of(await till.post("/v1/verify", body, key))["code"] == "cancelled"

    for path in ("/v1/verify", "/v1/accruals"):
        alone = {**body, "code": next(codes)} if path == "/v1/verify" else {"code": body["code"], "bill": bill()}
        key = fresh_key()
        refusals = [await till.post(path, body if path == "/v1/verify" else alone, key) for _ in range(2)]
        assert [problem_of(each)["code"] for each in refusals] == ["code_forged"] * 2, path
        assert refusals[1].headers[REPLAYED] == "true"
    if not way.name.startswith(("digits of twenty", "terminal of")):
        known = problem_of(await till.post("/v1/verify", refused_body, refused_key))
        assert known["code"] == refused["code"] == "points_insufficient", "a refused key is a known key too"
    guesses = 3 if way.form == "digits" else 0
    assert await till.guesses() == guesses, "one for each key that nobody knew, none for a repeat"


async def test_a_key_is_forgotten_after_its_retention_and_never_applies_again(worker: Worker, till: Till) -> None:
    codes = await codes_of(till, "digits")
    story, scan = await told(till, codes)
    worker.ahead += 45 * DAY
    await age(worker.stack, 45 * DAY)
    assert scan.body is not None
    again = await till.post(scan.path, scan.body, scan.key)
    assert problem_of(again)["code"] == "code_forged"
    refund = next(asked for asked in story.asked if asked.name == "refund")
    assert problem_of(await till.post(refund.path, refund.body, refund.key))["code"] == "not_found"


async def test_a_till_that_guessed_too_often_is_still_answered_by_its_own_keys(worker: Worker, till: Till) -> None:
    codes = await codes_of(till, "digits")
    story, scan = await told(till, codes)
    fresh = next(codes)
    elsewhere = CodeIssuer(KeyRing.create("other", "HS256"), "HS256", worker.clock)
    for number in range(GUESSES_PER_TERMINAL):
        guess = elsewhere.issue(number, slot_at(worker.clock())).digits
        assert problem_of(await till.post("/v1/verify", {"code": guess}, fresh_key()))["code"] == "code_forged"
    assert problem_of(await till.post("/v1/verify", {"code": fresh}, fresh_key()))["code"] == "rate_limited"
    assert (
        problem_of(await till.post("/v1/cancel", {"idempotency_key": fresh_key(), "code": fresh}))["code"]
        == "rate_limited"
    )
    for asked in story.asked:
        again = await till.post(asked.path, asked.body, asked.key)
        assert (again.status_code, again.content) == (asked.answer.status_code, asked.answer.content), asked.name
    assert scan.body is not None
    undone = await till.post("/v1/cancel", {"idempotency_key": scan.key, "code": scan.body["code"]})
    assert undone.json()["effect"] == "reversed"


async def test_a_moved_terminal_reverses_in_the_books_of_the_business_it_sold_for(worker: Worker, till: Till) -> None:
    codes = await codes_of(till, "jwt")
    _, scan = await told(till, codes)
    sold_for = till.business
    await till.placed("out_moved_books", "keys-moved-books", "HKD")
    by_id = await till.post("/v1/cancel", {"redemption_id": scan.document["redemption_id"]})
    assert problem_of(by_id)["code"] == "not_found", "an id of another business stays unknown"
    assert scan.body is not None
    undone = await till.post("/v1/cancel", {"idempotency_key": scan.key, "code": scan.body["code"]})
    assert undone.json()["effect"] == "reversed"

    async with worker.stack.ledger() as ledger:

        async def rows() -> list[tuple[str, str | None, str | None]]:
            found = await ledger.fetch(
                "SELECT kind, business, outlet FROM ledger_transaction WHERE subject_id = $1 ORDER BY entry_ms",
                scan.document["redemption_id"],
            )
            return [tuple(row) for row in found]

        async def both() -> bool:
            return len(await rows()) == 2

        await wait_until("the ledger has the reversal", both)
        assert [row[:2] for row in await rows()] == [("redeem", sold_for), ("reverse", sold_for)]
        assert (await rows())[1][2] is None, "the terminal's outlet of today is none of that business"
        owed = await ledger.fetchval(
            "SELECT count(*) FROM ledger_posting WHERE account = 'business_redeemed' AND owner = $1", "keys-moved-books"
        )
        assert owed == 0


async def test_while_a_bucket_is_frozen_a_repeat_is_told_unknown_and_then_its_first_answer(till: Till) -> None:
    worker = till.worker
    codes = await codes_of(till, "digits")
    story, scan = await told(till, codes)
    fresh = next(codes)
    cancel = {"idempotency_key": scan.key, "code": story.asked[0].body["code"]}  # type: ignore[index]
    async with worker.stack.hot() as hot:
        await hot.set(keys.frozen(till.member.bucket), "a test")
        try:
            first = problem_of(await till.post("/v1/verify", {"code": fresh}, fresh_key()))
            assert (first["code"], first["outcome"]) == ("unavailable", "not_applied")
            for readable in (True, False):
                worker.ahead = 0 if readable else 65 * 60
                for asked in story.asked:
                    document = problem_of(await till.post(asked.path, asked.body, asked.key))
                    assert (document["code"], document["outcome"]) == ("unavailable", "unknown"), asked.name
                assert problem_of(await till.post("/v1/cancel", cancel))["code"] == "unavailable"
            unread = problem_of(await till.post("/v1/verify", {"code": fresh}, fresh_key()))
            assert (unread["code"], unread["outcome"]) == ("unavailable", "unknown"), "its record may be away"
        finally:
            await hot.delete(keys.frozen(till.member.bucket))
    for asked in story.asked:
        again = await till.post(asked.path, asked.body, asked.key)
        assert (again.status_code, again.content) == (asked.answer.status_code, asked.answer.content), asked.name
    assert (await till.post("/v1/cancel", cancel)).json()["effect"] == "reversed"
