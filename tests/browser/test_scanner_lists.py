"""The scanner page across tills: what one made, another finds and ends; holds to the day of check-out; refunds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, Route, expect

from tests.support.api.client import TongClient, fresh_key, points_leg
from tests.support.pages.browser import PHONE, TABLET, visiting
from tests.support.pages.till_page import Till, till_of
from tests.support.servers.stack import Member, Stack, Terminal


async def scan(tong: TongClient, terminal: Terminal, member: Member, points: int, reference: str, **more: Any) -> None:
    """A scan of another till, which must be applied."""
    body = {
        "code": await tong.code(member),
        "legs": [points_leg(points)],
        "bill": {"reference": reference, "amount_minor": 10_000, "currency": "CNY"},
        **more,
    }
    answer = await tong.verify(terminal, body, fresh_key())
    assert answer.status_code == 201, answer.text


async def points_of(tong: TongClient, member: Member) -> int:
    return int(await tong.points(member))


async def test_holds_of_another_till_are_listed_by_deadline_and_ended_here(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    early, late = await stack.member(("hotel", 3_000, 2)), await stack.member(("hotel", 4_000, 2))
    async with till_of(browser, stack, tong) as till:
        await scan(tong, till.terminal, late, 400, "ROOM-400", capture=False, hold_seconds=86_400)
        await scan(tong, till.terminal, early, 300, "ROOM-300", capture=False, hold_seconds=600)
        assert await till.journal() == [], "this browser knows nothing of them"
        await till.press("預留中")
        await expect(till.page.locator(".beside .entry")).to_have_count(2)
        first = till.page.locator(".beside .entry").first
        await expect(first).to_contain_text("預留至")
        await first.click()
        await till.see(".sheet", "ROOM-300")
        await till.see(".sheet", "應付（預計）")
        assert await till.visitor.serious_findings() == []
        await till.press("全數扣除")
        await till.see(".sheet h2", "已核銷")
        await till.page.keyboard.press("Escape")
        await expect(till.page.locator(".beside .entry")).to_have_count(1)
        await till.page.locator(".beside .entry").first.click()
        await till.see(".sheet", "ROOM-400")
        await till.press("取消預留")
        await till.see(".sure", "要取消這筆預留嗎？")
        await till.page.locator(".sure .danger").click()
        await till.see(".sheet h2", "已取消預留")
        assert (await points_of(tong, early), await points_of(tong, late)) == (2_700, 4_000)


async def test_a_redemption_is_found_by_bill_and_by_code_and_given_back_in_part_once_it_is_confirmed(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 3_000, 2))
    async with till_of(browser, stack, tong, size=PHONE) as till:
        await scan(tong, till.terminal, member, 1_000, "TABLE-9")
        await till.page.locator(".last-scans").click()
        await till.press("查找")
        await till.page.locator(".find").get_by_label("帳單編號").fill("TABLE-8")
        await till.page.locator(".find .button:not(.quiet)").click()
        await till.see(".sheet", "查無紀錄。")
        await till.press("用會員碼查找")
        await till.see(".sheet", "查找不會用掉這個會員碼。")
        code = await tong.code(member)
        await till.scan(code)
        await till.see(".sheet .entry", "100.00")
        content, window = await till.visitor.widest()
        assert content <= window
        assert await till.visitor.serious_findings() == []
        await till.page.locator(".find").get_by_label("帳單編號").fill("TABLE-9")
        await till.page.locator(".find .button:not(.quiet)").click()
        await till.page.locator(".sheet .entry").first.click()
        give_back = till.page.locator(".sheet .button.wide").last
        await expect(give_back).to_be_disabled()
        await till.page.locator(".sheet .offer input").last.fill("400")
        await expect(give_back).to_have_text("退回 400 積分")
        await give_back.click()
        await till.see(".sure", "要把 400 積分 退回給會員嗎？")
        assert await points_of(tong, member) == 2_000, "nothing is given back before it is confirmed"
        await expect(till.page.locator(".sure .no")).to_be_focused()
        await till.page.locator(".sure .danger").click()
        await till.see(".sheet h2", "部分退回")
        assert await points_of(tong, member) == 2_400
        await till.press("全部選取")
        await till.page.locator(".sheet .button.wide").last.click()
        await till.page.locator(".sure .danger").click()
        await till.see(".sheet h2", "已退回")
        assert await points_of(tong, member) == 3_000
        used = await tong.verify(till.terminal, {"code": code}, fresh_key())
        assert used.status_code == 201, "looking for it did not use the code up"


async def test_a_step_that_was_not_answered_is_asked_for_again_after_a_reload_and_done_once(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 3_000, 2))

    async def lose_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort()

    async with till_of(browser, stack, tong, size=TABLET) as till:
        await scan(tong, till.terminal, member, 1_000, "TABLE-7")
        await till.page.route("**/refund", lose_the_answer)
        await till.page.locator(".last-scans").click()
        await till.page.locator(".sheet .entry").first.click()
        await till.page.locator(".sheet .offer input").fill("100")
        await till.page.locator(".sheet .button.wide").last.click()
        await till.page.locator(".sure .danger").click()
        await till.see(".sheet", "尚未收到結果")
        await till.page.unroute_all(behavior="wait")
        await till.page.reload()
        await till.see(".dot-mark")
        await till.page.locator(".last-scans").click()
        await till.page.locator(".open-step").click()
        await till.press("再查一次")
        await till.see(".sheet h2", "部分退回")
        assert await points_of(tong, member) == 2_100
        assert json.loads(await till.page.evaluate("localStorage.getItem('tong.scanner.steps')")) == []


async def test_a_hotel_holds_to_the_end_of_the_day_of_check_out_with_the_number_of_the_stay(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 3_000, 2), benefits={"room-upgrade": 2})
    terminal = stack.terminals["hotel"]
    session = {"terminal": {"credential": terminal.api_key, "label": ""}}
    zone = ZoneInfo("Asia/Shanghai")
    # A browser somewhere else: the day is the outlet's.
    async with visiting(
        browser, stack.base_url, size=TABLET, session=session, timezone_id="America/Los_Angeles"
    ) as visitor:
        await visitor.open("/scanner/")
        await visitor.wait(".till-place")
        till = Till(visitor, stack, tong, terminal)
        await till.basket(member, "88800")
        await till.see(".others")
        await till.page.get_by_label("住宿編號").fill("STAY-1207")
        await till.page.get_by_label("住宿編號").press("Tab")
        await expect(till.page.locator(".others")).to_have_count(0)
        await till.all_points()
        await till.press("預留")
        day = datetime.now(zone).date() + timedelta(days=3)
        await till.page.locator(".hold-until input[type=date]").fill(day.isoformat())
        await till.see("[data-testid=deadline]", "23:59")
        assert await visitor.serious_findings() == []
        await till.press("確認預留")
        await till.see(".outcome.held", "應付（預計）")
        headers = {"authorization": f"Bearer {terminal.api_key}"}
        listed = await tong.http.get("/v1/redemptions?status=held&limit=100", headers=headers)
        mine = [each for each in listed.json()["redemptions"] if each["member"]["member_id"] == member.member_id]
        ends = datetime.fromisoformat(mine[0]["hold_expires_at"])
        midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
        assert abs(ends - midnight.astimezone(UTC)) < timedelta(minutes=5)
