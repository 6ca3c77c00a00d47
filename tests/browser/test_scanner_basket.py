"""What the page proposes and promises: no points that nobody chose, no sum that the gateway did not say."""

import json

from playwright.async_api import Browser, Route, expect

from tests.support.api.client import TongClient
from tests.support.pages.browser import DESKTOP, PHONE
from tests.support.pages.till_page import till_of
from tests.support.servers.stack import Stack


async def test_one_enter_spends_no_points_and_quick_amounts_choose_them(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 6_000, 2))
    async with till_of(browser, stack, tong) as till:
        await till.basket(member, "25800")
        await expect(till.page.locator(".confirm")).to_be_focused()
        await till.page.keyboard.press("Enter")
        await till.see(".outcome.good", "會員已核對")
        assert await tong.points(member) == 6_000
        await till.press("下一位")
        await till.basket(member, "25800")
        await till.press("1,000")
        await till.see("[data-testid=payable]", "¥248.00")
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await tong.points(member) == 5_000


async def test_enter_twice_on_a_possible_duplicate_takes_once_and_the_earlier_one_is_told(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 50_000, 2))
    async with till_of(browser, stack, tong) as till:
        await till.take(member, "10000")
        await till.see(".outcome.good")
        await till.press("下一位")
        await till.take(member, "10000")
        await till.see(".outcome.bad", "核銷失敗")
        await till.see("[data-testid=earlier]", "已核銷，帳單 ¥100.00")
        await expect(till.page.get_by_role("button", name="不再核銷")).to_be_focused()
        assert await till.visitor.serious_findings() == []
        for _ in range(2):
            await till.page.keyboard.press("Enter")
        await till.see(".scan-target")
        assert await tong.points(member) == 40_000


async def test_what_may_not_stand_together_cannot_be_chosen_and_uses_are_told_today_and_in_all(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    alone_off = {
        "name": {"zh-Hant": "單獨", "en": "Alone"},
        "granted_by": "hotel",
        "exclusive": True,
        "per_day": 1,
        "discount": {"kind": "amount_off", "amount_minor": 1_000},
    }
    member = await stack.member(
        ("hotel", 6_000, 2), benefits={"dining-80": 4, "till-alone": 2}, definitions={"till-alone": alone_off}
    )
    async with till_of(browser, stack, tong) as till:
        await till.bill("30000")
        await till.page.get_by_role("button", name="餐飲", exact=True).click()
        await till.scan(await tong.code(member))
        await till.see(".basket", "今日剩 2 次，共剩 4 次")
        percent = till.page.locator('.offer:has(.strong:text-is("餐飲八折"))')
        alone = till.page.locator('.offer:has(.strong:text-is("單獨"))')
        await expect(percent.get_by_role("switch")).to_have_attribute("aria-checked", "true")
        assert await percent.locator(".stepper").count() == 0, "a percentage is used once"
        await till.see("[data-testid=payable]", "¥250.00")
        await expect(alone.get_by_role("switch")).to_be_disabled()
        await expect(alone).to_contain_text("不能與「餐飲八折」同時使用")
        await percent.get_by_role("switch").click()
        await alone.get_by_role("switch").click()
        await till.see("[data-testid=payable]", "¥290.00")
        await expect(till.page.get_by_role("button", name="500", exact=True)).to_be_disabled()
        await expect(till.page.locator(".offer.points")).to_contain_text("不能與「單獨」同時使用")
        assert await till.visitor.serious_findings() == []
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await till.page.locator("[data-testid=charge]").inner_text() == "¥290.00"


async def test_a_sum_is_what_the_gateway_said_and_what_is_too_much_is_made_less(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 50_000, 2), benefits={"dining-80": 1})
    asked: list[object] = []

    async def listen(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "{}").get("legs"))
        await route.continue_()

    async with till_of(browser, stack, tong, size=PHONE) as till:
        await till.page.route("**/v1/prepare", listen)
        await till.bill("10000")
        await till.page.get_by_role("button", name="餐飲", exact=True).click()
        await till.scan(await tong.code(member))
        await till.see("[data-testid=payable]", "¥80.00")
        await till.all_points()
        await till.see("[data-testid=payable]", "¥0.00")
        points = till.page.locator(".points .stepper input")
        await expect(points).to_have_value("8000")
        assert asked[-1] == [{"kind": "benefit", "benefit_id": "dining-80"}, {"kind": "points", "points": 8_000}]
        content, window = await till.visitor.widest()
        assert content <= window
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await tong.points(member) == 42_000


async def test_while_the_sum_is_asked_for_nothing_can_be_confirmed(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 50_000, 2))

    async def no_prices(route: Route) -> None:
        if json.loads(route.request.post_data or "{}").get("legs"):
            await route.abort()
        else:
            await route.continue_()

    async with till_of(browser, stack, tong, size=DESKTOP) as till:
        await till.page.route("**/v1/prepare", no_prices)
        await till.basket(member, "10000")
        await till.page.evaluate(
            "() => new MutationObserver(() => {"
            "  window.wasBarred ||= document.querySelector('.confirm:disabled') !== null"
            "}).observe(document.body, {subtree: true, attributes: true, childList: true})"
        )
        await till.press("500")
        await till.see(".notice.warn", "抵扣金額尚未算出")
        assert await till.page.evaluate("window.wasBarred"), "the button could be pressed before the sum was known"
        assert await till.page.locator("[data-testid=payable]").inner_text() == "…"
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await till.page.locator("[data-testid=charge]").inner_text() == "¥95.00"
