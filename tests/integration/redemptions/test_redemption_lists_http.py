"""Lists of redemptions through HTTP: what one till made, another till of the business finds and ends (fault U1)."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from redemption.database import open_pool
from redemption.domain.redemptions import STATUSES
from redemption.queries import named_queries
from tests.support.api.client import TongClient, fresh_key
from tests.support.api.problem import problem_of
from tests.support.engine.http import DINNER, Environment, Json, moment, open_environment, points
from tests.support.engine.untouched import nothing_changes
from tests.support.ledger.oracle import until_drained
from tests.support.ledger.plans import most_rows, plan_of
from tests.support.servers.stack import Stack, Terminal
from tests.support.suite.waiting import wait_until


@pytest.fixture(scope="module")
async def environment(stack: Stack, tong: TongClient) -> Environment:
    return await open_environment(stack, tong)


async def till(environment: Environment, name: str) -> Terminal:
    """A till of a business of its own, with the environment's members."""
    return await environment.stack.terminal(f"list-{name}")


async def listed(environment: Environment, terminal: Terminal, query: str = "") -> list[Json]:
    """All pages of a list, two redemptions a page."""
    found: list[Json] = []
    cursor = ""
    for _ in range(50):
        answer = await environment.get(f"/v1/redemptions?limit=2{query}{cursor}", terminal=terminal)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["redemptions"]) <= 2
        found += page["redemptions"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("the list has no end")


def ids(redemptions: list[Json]) -> list[str]:
    return [each["redemption_id"] for each in redemptions]


@asynccontextmanager
async def ledger_writer_stopped(stack: Stack) -> AsyncIterator[None]:
    """While the ledger gets nothing new."""
    pid = int(stack.demo["pids"]["ledger_writer"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_open_holds_are_listed_by_deadline_page_by_page_and_ended_by_another_till(
    environment: Environment,
) -> None:
    here = await till(environment, "holds")
    member = await environment.member()
    held = [
        await environment.held(member, points(10 + n), terminal=here, hold_seconds=seconds)
        for n, seconds in enumerate((900, 300, 86_400, 600, 1_200))
    ]
    await environment.taken(member, points(5), terminal=here)
    by_deadline = [held[index]["redemption_id"] for index in (1, 3, 0, 4, 2)]
    found = await listed(environment, here, "&status=held")
    assert ids(found) == by_deadline
    assert [each["hold_expires_at"] for each in found] == sorted(each["hold_expires_at"] for each in held)
    assert {each["outlet_id"] for each in found} == {here.outlet}
    for name, done in (("capture", "captured"), ("void", "voided")):
        ended = by_deadline.pop(0)
        answer = await environment.call(f"/v1/redemptions/{ended}/{name}", {}, fresh_key(), terminal=here)
        assert answer.json()["status"] == done
        assert ids(await listed(environment, here, "&status=held")) == by_deadline
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    assert ids(await listed(environment, here, "&status=held")) == by_deadline


async def test_a_redemption_is_listed_at_once_although_the_ledger_is_behind(environment: Environment) -> None:
    here = await till(environment, "behind")
    member = await environment.member()
    before = await environment.held(member, points(10), terminal=here, hold_seconds=900)
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    async with ledger_writer_stopped(environment.stack):
        later = await environment.held(member, points(11), terminal=here, hold_seconds=300)
        taken = await environment.taken(member, points(12), terminal=here)
        assert ids(await listed(environment, here, "&status=held")) == ids([later, before])
        assert ids(await listed(environment, here)) == ids([taken, later, before])
        searched = await environment.call("/v1/redemptions/search", {"code": environment.code(member)}, terminal=here)
        assert ids(searched.json()["redemptions"]) == ids([taken, later, before])
        await environment.step(later, "void", {}, fresh_key(), terminal=here)
        assert ids(await listed(environment, here, "&status=held")) == ids([before])
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    assert ids(await listed(environment, here)) == ids([taken, later, before]), (
        "each once, now that the ledger has them"
    )


async def test_every_status_lists_what_has_it_and_nothing_else(environment: Environment) -> None:
    here = await till(environment, "status")
    member = await environment.member()
    made: dict[str, str] = {}
    for number, status in enumerate(STATUSES):
        keep = environment.held if status in ("held", "voided", "expired") else environment.taken
        seconds = {"hold_seconds": 1 if status == "expired" else 600} if keep == environment.held else {}
        made[status] = (await keep(member, points(20 + number), terminal=here, **seconds))["redemption_id"]

    async def step(status: str, name: str, body: Json) -> None:
        answer = await environment.call(f"/v1/redemptions/{made[status]}/{name}", body, fresh_key(), terminal=here)
        assert answer.status_code == 200, answer.text

    await step("voided", "void", {})
    await step("refunded", "refund", {})
    await step("partially_refunded", "refund", {"legs": [points(1)]})
    await environment.call("/v1/cancel", {"redemption_id": made["reversed"]}, terminal=here)

    async def expired() -> bool:
        answer = await environment.get(f"/v1/redemptions/{made['expired']}", terminal=here)
        return bool(answer.json()["status"] == "expired")

    await wait_until("the hold has expired", expired)
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    for name, redemption_id in made.items():
        found = await listed(environment, here, f"&status={name}")
        assert [(each["redemption_id"], each["status"]) for each in found] == [(redemption_id, name)]
    assert sorted(ids(await listed(environment, here))) == sorted(made.values())


async def test_a_list_is_narrowed_by_outlet_day_and_instant_and_shows_no_other_business(
    environment: Environment,
) -> None:
    here, elsewhere = await till(environment, "narrow"), await till(environment, "foreign")
    member = await environment.member()
    first = await environment.taken(member, points(30), terminal=here)
    second = await environment.taken(member, points(31), terminal=here)
    foreign = await environment.taken(member, points(32), terminal=elsewhere)
    assert ids(await listed(environment, elsewhere)) == ids([foreign])
    assert ids(await listed(environment, here)) == ids([second, first])
    assert ids(await listed(environment, here, f"&outlet={here.outlet}")) == ids([second, first])
    assert await listed(environment, here, f"&outlet={elsewhere.outlet}") == []
    at = second["created_at"]
    assert ids(await listed(environment, here, f"&from={at}")) == ids([second])
    assert ids(await listed(environment, here, f"&to={at}")) == ids([first])
    day = datetime.fromtimestamp(moment(at), UTC) + timedelta(hours=8)  # the outlets' zone is Asia/Shanghai
    assert ids(await listed(environment, here, f"&from={day:%Y-%m-%d}&to={day:%Y-%m-%d}")) == ids([second, first])
    assert await listed(environment, here, f"&to={day - timedelta(1):%Y-%m-%d}") == []


async def test_a_search_by_code_finds_the_members_redemptions_here_and_does_not_use_the_code(
    environment: Environment,
) -> None:
    here, elsewhere = await till(environment, "search"), await till(environment, "search-elsewhere")
    member, other, stranger = await environment.member(), await environment.member(), await environment.member()
    mine = await environment.taken(member, points(40), terminal=here)
    await environment.taken(other, points(41), terminal=here)
    await environment.taken(member, points(42), terminal=elsewhere)
    async with environment.stack.hot() as hot, environment.stack.ledger() as ledger:
        await until_drained(hot, ledger)
    for code, found in ((environment.code(member), [mine]), (environment.digits(stranger), [])):
        async with nothing_changes(environment.stack, member, stranger):
            answer = await environment.call("/v1/redemptions/search", {"code": code}, terminal=here)
        assert answer.status_code == 200, answer.text
        assert ids(answer.json()["redemptions"]) == ids(found)
    code = environment.code(member)
    await environment.call("/v1/redemptions/search", {"code": code}, terminal=here)
    used = await environment.call("/v1/verify", {"code": code}, fresh_key(), terminal=here)
    assert used.status_code == 201, "the search did not use it up"
    again = await environment.call("/v1/redemptions/search", {"code": code}, terminal=here)
    assert problem_of(again)["code"] == "code_used"
    old = await environment.call(
        "/v1/redemptions/search", {"code": environment.code(member, age_seconds=300)}, terminal=here
    )
    assert problem_of(old)["code"] == "code_expired"
    await environment.member_field(member, "status", "blocked")
    blocked = await environment.call("/v1/redemptions/search", {"code": environment.code(member)}, terminal=here)
    assert mine["redemption_id"] in ids(blocked.json()["redemptions"]), "a blocked member's purchase can be given back"


async def test_digits_that_nobody_made_end_a_till_s_searches_as_they_end_its_scans(environment: Environment) -> None:
    here = await till(environment, "guesses")
    member = await environment.member()
    codes = []
    for _ in range(25):
        answer = await environment.call("/v1/redemptions/search", {"code": environment.guess()}, terminal=here)
        codes.append(answer.json()["code"])
    assert codes[0] == "code_forged"
    assert codes[-1] == "rate_limited"
    genuine = await environment.call("/v1/redemptions/search", {"code": environment.digits(member)}, terminal=here)
    assert problem_of(genuine)["code"] == "rate_limited"


async def test_a_possible_duplicate_tells_when_and_how_much_the_earlier_one_was(environment: Environment) -> None:
    here = await till(environment, "duplicate")
    member = await environment.member()
    first = await environment.taken(member, points(50), terminal=here)
    key, body = fresh_key(), environment.basket(member, points(50))
    answer = await environment.call("/v1/verify", body, key, terminal=here)
    earlier = problem_of(answer)["earlier"]
    assert earlier == {name: first[name] for name in ("redemption_id", "status", "created_at", "bill")}
    again = await environment.call("/v1/verify", body, key, terminal=here)
    assert (again.status_code, again.content) == (409, answer.content), "a repeat is told the same"
    spoilt = await environment.call("/v1/verify", {**body, "code": "no code"}, key, terminal=here)
    assert spoilt.json()["code"] == "idempotency_key_reused"


async def test_a_quote_says_what_verify_does_with_the_same_legs(environment: Environment) -> None:
    member = await environment.member()
    cases: list[tuple[list[Json], str | None]] = [
        ([points(1_000), {"kind": "benefit", "benefit_id": "eng-percent"}], None),
        ([{"kind": "benefit", "benefit_id": "eng-percent", "uses": 2}], "not_stackable"),
        ([{"kind": "benefit", "benefit_id": "eng-alone"}, points(1)], "not_stackable"),
        ([{"kind": "benefit", "benefit_id": "eng-day", "uses": 3}], "benefit_exhausted"),
        ([points(5_001)], "points_insufficient"),
        ([{"kind": "stored_value", "amount_minor": 25_801}], "exceeds_bill"),
    ]
    for legs, refusal in cases:
        async with nothing_changes(environment.stack, member):
            body = {"code": environment.code(member), "bill": DINNER, "legs": legs}
            quoted = (await environment.call("/v1/prepare", body)).json()["basket"]
        verified = await environment.verify(member, *legs)
        if refusal is None:
            taken = verified.json()
            assert quoted["reason"] is None
            assert quoted["values_minor"] == [leg["value_minor"] for leg in taken["legs"]]
            assert quoted["bill"] == {name: taken["bill"][name] for name in quoted["bill"]}
        else:
            document = problem_of(verified)
            assert document["code"] == refusal
            assert quoted["values_minor"] == []
            assert quoted["bill"] is None
            names = ("code", "detail", "operator_hint", "leg", "asked", "available")
            assert quoted["reason"] == {name: document[name] for name in names if name in document}


async def test_points_are_proposed_only_where_the_business_preselects_them(environment: Environment) -> None:
    careful = await till(environment, "careful")
    eager = await environment.stack.terminal("list-eager", rules={"preselect": "best"})
    for terminal, has_points in ((careful, False), (eager, True)):
        member = await environment.member()
        body = {"code": environment.code(member), "bill": DINNER}
        told = (await environment.call("/v1/prepare", body, terminal=terminal)).json()
        assert told["points"]["preselect"] == ("best" if has_points else "none")
        assert any(leg["kind"] == "points" for leg in told["best"]["legs"]), "best is what it was"
        assert any(leg["kind"] == "points" for leg in told["proposed"]["legs"]) is has_points


SCANS = 60_000
ROWS_OF_A_PAGE = 2_000
"""What reading one page of a hundred may touch: a plan that sorts the business's redemptions touches all of them."""


@pytest.mark.timeout(180)
async def test_a_page_reads_no_more_of_a_large_ledger_than_it_shows(stack: Stack) -> None:
    queries = named_queries("ledger", "reader")
    now = datetime.now(UTC)
    span = ("plan-business", now - timedelta(days=30), now + timedelta(days=1))
    newest = (*span, now + timedelta(days=1), "", None, 100)
    holds = (*span, round(now.timestamp() * 1000), "", None, 100, None)
    pages: list[tuple[str, tuple[object, ...]]] = [
        ("newest", newest),
        ("newest", (*newest[:5], "out_1", 100)),
        ("of_bill", (*newest, "REF-77")),
        ("of_member", (*newest, "mem_0000077")),
        ("undone", (*newest, "refund")),
        ("open_holds", holds),
    ]
    pool = await open_pool(stack.demo["postgres_dsn"], size=1)
    try:
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                for month in (now, now - timedelta(days=1)):
                    await connection.execute("SELECT ledger_ensure_month($1::date)", month.date())
                await connection.execute(FILL, SCANS)
                await connection.execute("ANALYZE ledger_transaction")
                for name, arguments in pages:
                    plan = await plan_of(connection, queries[name], *arguments)
                    assert most_rows(plan) <= ROWS_OF_A_PAGE, f"{name}: {plan}"
            finally:
                await transaction.rollback()
    finally:
        await pool.close()


FILL = """
INSERT INTO ledger_transaction (occurred_at, entry_ms, entry_seq, epoch, bucket, kind, subject_id, member_id, business,
                                outlet, bill_reference, context)
SELECT now() - n * interval '1 second', 1000000 + n, 0, 999999, n % 64,
       CASE WHEN n % 50 = 0 THEN 'hold' ELSE 'redeem' END,
       'rdm_' || lpad(to_hex(n), 18, '0'), 'mem_' || lpad((n % 5000)::text, 7, '0'), 'plan-business',
       'out_' || n % 3, 'REF-' || n,
       CASE WHEN n % 50 = 0 THEN '{"restore": {"hold_seconds": 1209600}}'::jsonb ELSE '{}'::jsonb END
FROM generate_series(1, $1::integer) AS n
"""
