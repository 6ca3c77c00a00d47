"""The settlement API on a real stack: a month from uses to paid over HTTP alone, and who sees what."""

import asyncio
import datetime
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from gateway.administration.keys import create_key
from gateway.server.routes import OPERATIONS
from tests.support.api.client import TongClient, bill, client_of, fresh_key, points_leg
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Stack, running_stack
from tests.support.settlement.http import (
    BASE,
    GROUP_ZONE,
    Office,
    add_past_entry,
    fresh_subject,
    month_over,
    points_used,
)
from tests.support.suite.waiting import wait_until

PERIOD = "/periods/{period}"


@dataclass
class Group:
    """A stack whose month before last has uses between three businesses, settled by itself."""

    stack: Stack
    tong: TongClient
    month: str
    group: Office
    offices: dict[str, Office]
    uses: dict[str, str]

    def period_id(self, *businesses: str) -> str:
        return ".".join((self.month.replace("-", ""), *sorted(businesses)))


@pytest.fixture(scope="module")
async def group() -> AsyncIterator[Group]:
    first = month_over()
    async with running_stack() as stack, client_of(stack) as tong:
        demo = stack.demo
        offices = {each["business"]: Office(tong.http, each["api_key"]) for each in demo["business_admins"]}
        made = Group(stack, tong, f"{first:%Y-%m}", Office(tong.http, demo["admin_api_key"]), offices, {})
        await _use(made, first)
        yield made


async def _use(group: Group, first: datetime.date) -> None:
    """In the month that is over: 1 000 points of the hotel and 500 of the mall at the restaurant, 10.00 + 5.00 off; 400
    of the restaurant at the hotel, 4.00 off; a benefit of the spa, whose agreement is not there."""
    noon = datetime.datetime.combine(first + datetime.timedelta(days=9), datetime.time(12), GROUP_ZONE)
    outlets = {business: terminal.outlet for business, terminal in group.stack.terminals.items()}
    async with group.stack.hot() as hot, group.stack.ledger() as ledger:
        for name, acceptor, issuers in (
            ("dinner", "restaurant", {"hotel": 1000, "mall": 500}),
            ("stay", "hotel", {"restaurant": 400}),
            ("own", "hotel", {"hotel": 100}),
        ):
            group.uses[name] = fresh_subject()
            legs = [{"kind": "points", "points": sum(issuers.values()), "value_minor": sum(issuers.values())}]
            await add_past_entry(
                hot,
                "redeem",
                group.uses[name],
                acceptor,
                outlets[acceptor],
                points_used(issuers),
                noon,
                legs=legs,
                reference=f"BILL-{name}",
            )
        await until_drained(hot, ledger)

    async def are_written() -> bool:
        periods = await group.group.found("/periods", month=group.month)
        return bool(sum(period["lines"] for period in periods["periods"]) == 4)

    await wait_until("the stack's settlement has written the lines", are_written)


async def test_a_month_goes_from_uses_to_paid_over_http_alone(group: Group) -> None:
    month, group_wide = group.month, group.group
    hotel, restaurant = group.offices["hotel"], group.offices["restaurant"]
    pair = group.period_id("hotel", "restaurant")

    # The lines are there without anybody's doing, page by page in one order.
    opened = await hotel.found(f"/periods/{pair}", PERIOD)
    assert (opened["status"], opened["number"], opened["sha256"], opened["lines"]) == ("open", None, None, 2)
    lines = await hotel.all_of(f"/periods/{pair}/lines", "lines", f"{PERIOD}/lines", limit=1)
    assert {(line["issuer"], line["acceptor"], line["units"], line["amount_minor"]) for line in lines} == {
        ("hotel", "restaurant", 1000, 980),
        ("restaurant", "hotel", 400, 392),
    }
    assert lines == (await restaurant.found(f"/periods/{pair}/lines", f"{PERIOD}/lines"))["lines"]
    assert {line["redemption_id"] for line in lines} == {group.uses["dinner"], group.uses["stay"]}
    nets = await group_wide.found("/nets", month=month)
    assert nets["provisional"]
    assert (await _refused(await hotel.get(f"/periods/{pair}/export", f"{PERIOD}/export")))[0] == "period_not_closed"
    provisional = await hotel.get("/statements", period=month, format="csv", language="en")
    assert provisional.status_code == 200
    assert "PROVISIONAL" in provisional.headers["content-disposition"]
    assert "etag" not in provisional.headers

    # A dispute of the restaurant keeps the period from being approved until both agree.
    disputed = next(line for line in lines if line["issuer"] == "hotel")
    line_path = f"/lines/{disputed['line_id']}/disputes"
    asked = {"reason": "agreed were 9.90"}
    opened_twice = [await restaurant.post(line_path, asked, template="/lines/{line_id}/disputes") for _ in range(2)]
    assert [answer.status_code for answer in opened_twice] == [201, 201]
    assert opened_twice[0].json() == opened_twice[1].json()
    other = await hotel.post(line_path, {"reason": "no"}, template="/lines/{line_id}/disputes")
    assert (await _refused(other))[0] == "already_disputed"

    # Four at once close it: one does, all say the same.
    close = "/months/{month}/close"
    closings = await asyncio.gather(*(group_wide.post(f"/months/{month}/close", template=close) for _ in range(4)))
    assert {answer.status_code for answer in closings} == {200}, [answer.text for answer in closings]
    assert {answer.text for answer in closings} == {closings[0].text}
    assert closings[0].json() == {"month": month, "periods": 3, "lines": 4, "exceptions": 0}

    early = await hotel.post(f"/periods/{pair}/approve", template=f"{PERIOD}/approve")
    assert (await _refused(early))[0] == "period_disputed"
    dispute_id = opened_twice[0].json()["dispute_id"]
    resolve, template = f"/disputes/{dispute_id}/resolve", "/disputes/{dispute_id}/resolve"
    alone = await restaurant.post(resolve, {"note": "mine", "amount_minor": 99_000}, template=template)
    assert (await _refused(alone))[0] == "forbidden"
    agreed = {"note": "both agree", "amount_minor": 990}
    ended = [await group_wide.post(resolve, agreed, template=template) for _ in range(2)]
    assert [answer.status_code for answer in ended] == [200, 200], ended[1].text
    assert ended[0].json() == ended[1].json()
    assert ended[0].json()["correction_id"]
    again = await group_wide.post(resolve, {"note": "no", "amount_minor": 1}, template=template)
    assert (await _refused(again))[0] == "already_resolved"

    # Both sides approve, twice at once each; then it is paid.
    early = await hotel.post(f"/periods/{pair}/pay", {"reference": "BANK-1"}, template=f"{PERIOD}/pay")
    code, detail = await _refused(early)
    assert code == "period_not_approved"
    assert "hotel, restaurant" in detail
    for office in (hotel, restaurant):
        both = await asyncio.gather(
            *(office.post(f"/periods/{pair}/approve", template=f"{PERIOD}/approve") for _ in range(2))
        )
        assert [answer.status_code for answer in both] == [200, 200], [answer.text for answer in both]
        assert both[0].json() == both[1].json()
    assert (await hotel.found(f"/periods/{pair}", PERIOD))["status"] == "approved"
    for _ in range(2):
        paid = await hotel.post(f"/periods/{pair}/pay", {"reference": "BANK-1"}, template=f"{PERIOD}/pay")
        assert (paid.status_code, paid.json()["status"]) == (200, "paid")
    other = await hotel.post(f"/periods/{pair}/pay", {"reference": "BANK-2"}, template=f"{PERIOD}/pay")
    assert (await _refused(other))[0] == "period_paid"

    # The file is what the hash is over; by id, number and hash it is one period.
    period = await restaurant.found(f"/periods/{pair}", PERIOD)
    export = await restaurant.get(f"/periods/{pair}/export", f"{PERIOD}/export")
    assert hashlib.sha256(export.content).hexdigest() == period["sha256"]
    assert export.headers["etag"] == f'"{period["sha256"]}"'
    assert export.text.count("\n") == 2
    for name in (str(period["number"]), period["sha256"]):
        assert await restaurant.found(f"/periods/{name}", PERIOD) == period
    cached = await restaurant.http.get(
        f"{BASE}/periods/{pair}/export",
        headers={"authorization": f"Bearer {restaurant.key}", "if-none-match": export.headers["etag"]},
    )
    assert (cached.status_code, cached.content) == (304, b"")

    nets = await group_wide.found("/nets", month=month)
    assert not nets["provisional"]
    assert {(one["payer"], one["payee"], one["amount_minor"]) for one in nets["pairs"]} == {
        ("hotel", "restaurant", 588),
        ("mall", "restaurant", 490),
    }
    assert sum(one["amount_minor"] for one in nets["businesses"]) == 0
    assert sum(one["amount_minor"] for one in nets["transfers"]) == 588 + 490
    mall = await group.offices["mall"].found("/nets", month=month)
    assert {one["business"] for one in mall["businesses"]} == {"mall"}
    assert [(one["payer"], one["amount_minor"]) for one in mall["pairs"]] == [("mall", 490)]

    statements = {}
    for form in ("json", "csv", "xlsx", "pdf"):
        answer = await hotel.get("/statements", period=month, format=form, language="zh-Hant")
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        statements[form] = answer.content
    assert statements["pdf"].startswith(b"%PDF")
    assert statements["xlsx"].startswith(b"PK")

    # Lines that were changed behind the product's back are not handed out under their old hash.
    async with group.stack.ledger() as ledger:
        await change(ledger, disputed["line_id"], 1)
        for answer in (
            await hotel.get(f"/periods/{pair}/export", f"{PERIOD}/export"),
            await group_wide.post(f"/months/{month}/close", template=close),
        ):
            assert (await _refused(answer))[0] == "period_altered"
        await change(ledger, disputed["line_id"], -1)
    assert (await group_wide.post(f"/months/{month}/close", template=close)).text == closings[0].text


async def change(ledger: Any, line_id: str, by: int) -> None:
    """What an administrator of PostgreSQL could do to a line."""
    async with ledger.transaction():
        await ledger.execute("ALTER TABLE settlement_line DISABLE TRIGGER refuse_change")
        await ledger.execute(
            "UPDATE settlement_line SET amount_minor = amount_minor + $2 WHERE line_id = $1", line_id, by
        )
        await ledger.execute("ALTER TABLE settlement_line ENABLE TRIGGER refuse_change")


async def test_a_scan_of_today_is_a_line_and_its_month_cannot_be_closed_yet(group: Group) -> None:
    member = await group.stack.member(("hotel", 700, 3))
    body = {"code": await group.tong.code(member), "bill": bill(), "legs": [points_leg(700)]}
    taken = await group.tong.verify(group.stack.terminals["mall"], body, fresh_key())
    assert taken.status_code == 201, taken.text
    today = datetime.datetime.now(GROUP_ZONE).date()
    pair = f"{today:%Y%m}.hotel.mall"

    async def lines() -> httpx2.Response | None:
        found = await group.offices["hotel"].get(f"/periods/{pair}/lines", f"{PERIOD}/lines")
        return found if found.status_code == 200 else None

    answer = await wait_until("the stack's settlement has written the line", lines)
    assert [line["redemption_id"] for line in answer.json()["lines"]] == [taken.json()["redemption_id"]]
    assert [line["amount_minor"] for line in answer.json()["lines"]] == [
        taken.json()["bill"]["discount_minor"] * 95 // 100
    ]
    early = await group.group.post(f"/months/{today:%Y-%m}/close", template="/months/{month}/close")
    assert (await _refused(early))[0] == "month_not_over"
    statement = await group.offices["mall"].get("/statements", period="today", format="json")
    assert (statement.status_code, statement.headers["cache-control"]) == (200, "no-store")


async def test_agreements_are_superseded_by_the_group_and_seen_by_whom_they_are_for(group: Group) -> None:
    definition = {
        "issuer": "gym",
        "acceptor": "mall",
        "instrument": "points",
        "rule": {"kind": "agreed_price", "price_minor": 1, "per_units": 2},
        "valid_from": "2027-01-01",
    }
    template = "/agreements/{agreement_id}/versions"
    path = "/agreements/points-gym-mall/versions"
    answers = [await group.group.post(path, definition, template=template) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json() == {"agreement_id": "points-gym-mall", "version": 1}
    changed = {**definition, "valid_from": "2027-02-01"}
    assert (await group.group.post(path, changed, template=template)).json()["version"] == 2
    clash = await group.group.post("/agreements/another/versions", definition, template=template)
    assert (await _refused(clash))[0] == "agreement_conflict"
    wrong = await group.group.post(path, {**definition, "acceptor": "nobody"}, template=template)
    assert (await _refused(wrong))[0] == "malformed"
    wrong = await group.group.post(path, {**definition, "rule": {"kind": "free"}}, template=template)
    assert wrong.json()["errors"][0]["field"] == "rule.kind"
    assert (await _refused(await group.offices["gym"].post(path, definition, template=template)))[0] == "forbidden"

    versions = await group.offices["gym"].found("/agreements/points-gym-mall", "/agreements/{agreement_id}")
    assert [(each["version"], each["superseded"]) for each in versions["agreements"]] == [(1, True), (2, False)]
    hidden = await group.offices["hotel"].get("/agreements/points-gym-mall", "/agreements/{agreement_id}")
    assert (await _refused(hidden))[0] == "not_found"
    seen = await group.offices["spa"].all_of("/agreements", "agreements", limit=2)
    names = [(each["agreement_id"], each["version"]) for each in seen]
    assert names == sorted(names)
    assert "points" in {name for name, _ in names}
    assert "points-gym-mall" not in {name for name, _ in names}


async def test_pages_of_periods_hold_each_period_once_whatever_their_length(group: Group) -> None:
    whole = [period["period_id"] for period in await group.group.all_of("/periods", "periods")]
    assert len(set(whole)) == len(whole) >= 3
    for limit in (1, 2, 3):
        assert [each["period_id"] for each in await group.group.all_of("/periods", "periods", limit=limit)] == whole
    months = [period_id.partition(".")[0] for period_id in whole]
    assert months == sorted(months, reverse=True)
    mall = await group.offices["mall"].all_of("/periods", "periods", month=group.month)
    assert {period["period_id"] for period in mall} == {group.period_id("mall", "restaurant")}
    of_hotel = await group.group.all_of("/periods", "periods", month=group.month, business="hotel")
    assert {period["period_id"] for period in of_hotel} == {
        group.period_id("hotel", "hotel"),
        group.period_id("hotel", "restaurant"),
    }


async def test_what_is_asked_wrongly_is_refused_with_the_name_of_the_parameter(group: Group) -> None:
    for path, parameters, field in (
        ("/periods", {"limit": "0"}, "limit"),
        ("/periods", {"limit": "501"}, "limit"),
        ("/periods", {"limit": "١"}, "limit"),
        ("/periods", {"cursor": "nonsense"}, "cursor"),
        ("/periods", {"cursor": "WzEsMl0"}, "cursor"),
        ("/periods", {"cursor": "A" * 500}, "cursor"),
        ("/periods", {"month": "2026-13"}, "month"),
        ("/periods", {"status": "lost"}, "status"),
        ("/periods", {"page": "2"}, "page"),
        ("/periods", {"business": "Hotel"}, "business"),
        ("/nets", {}, "month"),
        ("/statements", {"period": "2026-11"}, "business"),
        ("/statements", {"business": "hotel", "format": "docx"}, "format"),
        ("/statements", {"business": "hotel", "language": "fr"}, "language"),
        ("/statements", {"business": "hotel", "period": "2026-99"}, "period"),
        ("/statements", {"business": "hotel", "period": "../etc"}, "period"),
        ("/disputes", {"status": "1"}, "status"),
        ("/exceptions", {"cursor": "eyJhIjoxfQ"}, "cursor"),
    ):
        answer = await group.group.get(path, **parameters)
        assert answer.status_code == 400, (path, parameters, answer.text)
        assert answer.json()["errors"][0]["field"] == field, (path, parameters, answer.text)
    for path in ("/periods", "/statements", "/exceptions", "/nets"):
        answer = await group.group.get(path, business="nobody", **({"month": "2026-11"} if path == "/nets" else {}))
        assert answer.status_code == 404, answer.text
    for name in ("202611.no.where", "999999999", "f" * 64, "x" * 3_000):
        answer = await group.group.get(f"/periods/{name}", PERIOD)
        assert answer.status_code == 404, answer.text


async def test_every_path_is_closed_to_whom_it_is_not_for(group: Group) -> None:
    """No credential, another one's token, a terminal, a key without the role, another business: at every path."""
    other = group.offices["gym"]
    pair = group.period_id("hotel", "restaurant")
    lines = (await group.group.found(f"/periods/{pair}/lines", f"{PERIOD}/lines"))["lines"]
    member = (await group.stack.members([[]]))[0]
    no_role = Office(group.tong.http, await create_key(group.stack.settings, None, ("back_office", "operations")))
    terminal = Office(group.tong.http, group.stack.terminals["mall"].api_key)
    await group.stack.until_every_worker("knows the key", lambda http: _knows(http, no_role))
    paths = {
        "{agreement_id}": "points-hotel-mall",
        "{period}": pair,
        "{line_id}": lines[0]["line_id"],
        "{dispute_id}": f"dsp_{lines[0]['line_id']}-1",
        "{month}": group.month,
        "{reconciliation_id}": "rec_" + "a" * 26,
    }
    parameters = {"/nets": {"month": group.month}, "/reconciliations": {"day": "2026-11-22"}}
    for call in (each for each in OPERATIONS if each.path.startswith(BASE)):
        template = call.path.removeprefix(BASE)
        path = template
        for name, value in paths.items():
            path = path.replace(name, value)
        query = parameters.get(template, {}) if call.method == "GET" or template == "/reconciliations" else {}
        body = next(iter(call.request_examples.values()), None)

        async def ask(office: Office) -> tuple[int, str]:
            if call.method == "GET":  # noqa: B023 - called in this turn of the loop
                answer = await office.get(path, template, **query)  # noqa: B023
            else:
                answer = await office.post(path, body, template=template, **query)  # noqa: B023
            return answer.status_code, answer.json().get("code", "")

        assert await ask(Office(group.tong.http, None)) == (401, "unauthenticated"), call.path
        assert await ask(Office(group.tong.http, member.access_token)) == (401, "unauthenticated"), call.path
        assert await ask(no_role) == (403, "forbidden"), call.path
        if not template.startswith("/reconciliations"):
            assert await ask(terminal) == (403, "forbidden"), call.path
        if "{" in template and not template.endswith(("/versions", "/close")):
            assert await ask(other) == (404, "not_found"), call.path
        if template.endswith(("/versions", "/close")):
            assert await ask(other) == (403, "forbidden"), call.path
        if any(each.name == "business" for each in call.parameters) and call.method == "GET":
            foreign = await other.get(path, template, **{**query, "business": "hotel"})
            assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found"), call.path
    for template in (f"{PERIOD}/approve", f"{PERIOD}/pay"):
        foreign = await group.offices["hotel"].post(
            template.replace("{period}", pair), {"business": "mall", "reference": "x"}, template=template
        )
        assert foreign.status_code in (400, 404)


async def test_a_key_of_one_business_cannot_approve_for_the_other(group: Group) -> None:
    pair = group.period_id("hotel", "restaurant")
    answer = await group.offices["hotel"].post(
        f"/periods/{pair}/approve", {"business": "restaurant"}, template=f"{PERIOD}/approve"
    )
    assert (await _refused(answer))[0] == "not_found"
    unsaid = await group.group.post(f"/periods/{pair}/approve", template=f"{PERIOD}/approve")
    assert unsaid.json()["errors"][0]["field"] == "business"


async def _refused(answer: httpx2.Response) -> tuple[str, str]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code >= 400, answer.text
    return problem["code"], problem["detail"]


async def _knows(http: httpx2.AsyncClient, office: Office) -> bool:
    answer = await http.get(f"{BASE}/periods", headers={"authorization": f"Bearer {office.key}"})
    return answer.status_code == 403
