"""The member page in a real browser on the real stack: what a member sees before, while and after a till scans."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.pages.browser import DESKTOP, PHONE, TABLET, Visitor, symbols, visiting
from tests.support.servers.stack import Member, Stack

LOTS = (("hotel", 6_000, 1), ("mall", 4_000, 7))


@asynccontextmanager
async def member_page(
    browser: Browser, stack: Stack, member: Member, at: str = "/app/", **options: Any
) -> AsyncIterator[Visitor]:
    """A signed-in member's page: it shows the code, and each event at once."""
    session = {"member": {"credential": member.access_token, "label": ""}}
    async with visiting(browser, stack.base_url, session=session, **options) as visitor:
        await visitor.open(at)
        await visitor.wait(".bar .chip.good")
        yield visitor


async def scanned(page: Page) -> dict[str, str]:
    """What a scanner reads from the screen."""
    await page.locator(".qr").first.wait_for()
    return symbols(await page.screenshot())


async def points_shown(page: Page) -> int:
    return int((await page.get_by_test_id("points").inner_text()).replace(",", ""))


async def sign_in(page: Page, member: Member) -> None:
    """In this tab alone, as an app that embeds the page does."""
    kept = json.dumps({"credential": member.access_token, "label": ""})
    await page.evaluate("kept => sessionStorage.setItem('tong.session.member', kept)", kept)
    await page.reload()


async def until_points(page: Page, points: int) -> None:
    shown = "document.querySelector('[data-testid=points]')?.textContent.replace(/,/g, '')"
    await page.wait_for_function(f"wanted => {shown} === wanted", arg=str(points))


async def test_a_till_takes_the_code_on_the_screen_and_the_page_says_what_was_taken(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member) as visitor:
        page = visitor.page
        assert await points_shown(page) == 10_000
        seen = await scanned(page)
        digits = (await page.get_by_test_id("digits").inner_text()).replace(" ", "")
        assert seen["Code 128"] == digits
        body = {"code": seen["QR Code"], "bill": bill(), "legs": [points_leg(2_000)]}
        taken = await tong.verify(stack.terminals["hotel"], body, fresh_key())
        assert taken.status_code == 201, taken.text
        await visitor.wait(".happened", "已使用")
        said = await page.locator(".happened").inner_text()
        for words in ("通逸酒店", "大堂前台", "−2,000", "¥258.00", "¥238.00", "8,000"):
            assert words in said, words
        await page.locator(".happened .button").click()
        await until_points(page, 8_000)
        # A fresh code stands there already, in both forms, and works.
        again = await scanned(page)
        assert again["Code 128"] != digits
        fresh = await tong.verify(stack.terminals["mall"], {"code": again["Code 128"], "legs": []}, fresh_key())
        assert fresh.status_code == 201, fresh.text
        await visitor.wait(".happened", "已出示會員碼")


async def test_a_reload_after_a_use_shows_what_is_left_and_says_nothing_twice(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member) as visitor:
        body = {"code": (await scanned(visitor.page))["QR Code"], "bill": bill(), "legs": [points_leg(500)]}
        assert (await tong.verify(stack.terminals["mall"], body, fresh_key())).status_code == 201
        await visitor.wait(".happened")
        await visitor.page.reload()
        await visitor.wait(".bar .chip.good")
        await until_points(visitor.page, 9_500)
        assert await visitor.page.locator(".happened").count() == 0
        # The history tells it, with the decision explained.
        await visitor.page.locator(".tab-activity").click()
        await visitor.wait(".activity summary", "−500")
        await visitor.page.locator(".activity summary").first.click()
        await visitor.wait(".explained", "POS-7-20261122-0001")


async def test_a_code_is_replaced_in_time_and_a_short_loss_of_network_is_bridged(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS)
    session = {"member": {"credential": member.access_token, "label": ""}}
    async with visiting(browser, stack.base_url, session=session) as visitor:
        page = visitor.page
        await page.clock.install()
        async with page.expect_response("**/v1/me/codes") as fetched:
            await visitor.open("/app/")
        ahead = [code["digits"] for code in (await (await fetched.value).json())["codes"]]
        assert len(ahead) == 5
        await visitor.wait(".qr")
        await visitor.context.set_offline(True)
        await visitor.wait(".bar .chip.warn", "沒有網路")
        shown = [(await page.get_by_test_id("digits").inner_text()).replace(" ", "")]
        while len(shown) < len(ahead):
            await page.clock.fast_forward(19_000)
            await page.wait_for_function(
                "before => document.querySelector('.digits').textContent.replace(/ /g, '') !== before", arg=shown[-1]
            )
            shown.append((await page.get_by_test_id("digits").inner_text()).replace(" ", ""))
            if len(shown) == 3:  # the third of them, long after the network went
                body = {"code": (await scanned(page))["QR Code"], "legs": []}
                answer = await tong.verify(stack.terminals["gym"], body, fresh_key())
                assert answer.status_code == 201, answer.text
        assert shown == ahead
        await page.clock.fast_forward(40_000)
        await visitor.wait(".no-code", "預先取得的會員碼已用完")
        await visitor.context.set_offline(False)
        await visitor.wait(".happened", "已出示會員碼")  # what was missed meanwhile
        await page.locator(".happened .button").click()
        await visitor.wait(".qr")
        # This device's clock is minutes ahead by now; the page goes by the gateway's.
        body = {"code": (await scanned(page))["Code 128"], "legs": []}
        answer = await tong.verify(stack.terminals["gym"], body, fresh_key())
        assert answer.status_code == 201, answer.text


async def test_an_enrolled_device_opens_without_network_and_its_code_is_taken_once(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS)
    async with visiting(browser, stack.base_url) as visitor:
        page = visitor.page
        await visitor.open("/app/")
        await sign_in(page, member)
        await visitor.wait(".bar .chip.good")
        await page.locator(".bar .icon-button").click()
        await page.get_by_role("button", name="在這部裝置開啟").click()
        await visitor.wait(".sheet .notice.good", "這部裝置已開啟")
        await page.keyboard.press("Escape")
        await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        await visitor.context.set_offline(True)
        # Opened anew, by nobody in particular: a session ends with its tab.
        anew = await visitor.context.new_page()
        await anew.goto(f"{stack.base_url}/app/")
        await anew.locator(".offline-mark").wait_for()
        code = (await scanned(anew))["QR Code"]
        assert code.startswith("o1.")
        body = {"code": code, "bill": bill(), "legs": [points_leg(300)]}
        taken = await tong.verify(stack.terminals["parking"], body, fresh_key())
        assert taken.status_code == 201, taken.text
        second = await tong.verify(stack.terminals["hotel"], {"code": code, "legs": []}, fresh_key())
        assert (second.status_code, second.json()["code"]) == (409, "code_used")
        await anew.close()
        await visitor.context.set_offline(False)
        await visitor.wait(".happened", "通行停車場")  # told as soon as there is network again
        await page.locator(".happened .button").click()
        await until_points(page, 9_700)
        # Taken off, its codes are worth nothing.
        await page.locator(".bar .icon-button").click()
        await page.get_by_role("button", name="在這部裝置關閉").click()
        await page.get_by_role("button", name="在這部裝置開啟").wait_for()


async def test_benefits_say_where_how_often_still_and_why_not_now(browser: Browser, stack: Stack) -> None:
    member = await stack.member(tier="standard", benefits={"room-upgrade": 1, "parking-hours": 9, "dining-80": 1})
    async with member_page(browser, stack, member, "/app/#benefits") as visitor:
        await visitor.wait(".benefit.dim", "房型升級")
        assert "等級未達使用條件" in await visitor.page.locator(".benefit.dim").inner_text()
        parking = await visitor.page.locator(".benefit", has_text="免費停車").inner_text()
        for words in ("通行停車場", "今日可用 3 次，共 9 次", "今日已用 0／3 次", "減 ¥10.00", "底到期"):
            assert words in parking, words
        assert "限餐飲" in await visitor.page.locator(".benefit", has_text="餐飲八折").inner_text()


async def test_points_earned_are_told_without_a_sum_to_pay(browser: Browser, stack: Stack, tong: TongClient) -> None:
    """An accrual takes nothing off the bill and says nothing of what was paid: no value is not 0."""
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member) as visitor:
        code = (await scanned(visitor.page))["QR Code"]
        headers = {"authorization": f"Bearer {stack.terminals['mall'].api_key}", "idempotency-key": fresh_key()}
        earned = await tong.http.post("/v1/accruals", json={"code": code, "bill": bill()}, headers=headers)
        assert earned.status_code == 201, earned.text
        await visitor.wait(".happened", "獲得積分")
        said = await visitor.page.locator(".happened .bill-line").inner_text()
        assert "258.00" in said
        assert "0.00" not in said.replace("258.00", "")
        assert await visitor.page.locator(".happened .pay").count() == 0
        await visitor.page.locator(".happened .button").click()
        await visitor.page.locator(".tab-activity").click()
        await visitor.wait(".activity summary", "獲得積分")
        await visitor.page.locator(".activity summary").first.click()
        await visitor.wait(".explained", "POS-7-20261122-0001")
        assert "應付" not in await visitor.page.locator(".explained").first.inner_text()


async def test_a_hold_says_what_is_expected_and_until_when_never_that_it_was_paid(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS, benefits={"parking-hours": 9})
    async with member_page(browser, stack, member) as visitor:
        code = (await scanned(visitor.page))["QR Code"]
        legs = [{"kind": "benefit", "benefit_id": "parking-hours"}]
        body = {"code": code, "bill": bill(), "legs": legs, "capture": False}
        assert (await tong.verify(stack.terminals["parking"], body, fresh_key())).status_code == 201
        await visitor.wait(".happened", "已預留")
        assert await visitor.page.locator(".happened .pay dt").inner_text() == "預計應付"
        assert "今日可用 2 次，共 8 次" in await visitor.page.locator(".happened .left").inner_text()
        await visitor.page.locator(".happened .button").click()
        await visitor.page.locator(".tab-activity").click()
        await visitor.wait(".activity summary", "已預留")
        await visitor.page.locator(".activity summary").first.click()
        entry = await visitor.page.locator(".explained").first.inner_text()
        for words in ("預計應付", "保留至", "預留中"):
            assert words in entry, words


async def test_reloaded_without_network_the_last_copy_is_shown_with_its_time_until_there_is_network_again(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member, "/app/#points") as visitor:
        page = visitor.page
        await visitor.wait(".total-figure", "10,000")
        await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        await visitor.context.set_offline(True)
        await page.reload()
        await visitor.wait(".total-figure", "10,000")
        await visitor.wait(".as-of", "的資料")
        assert re.search(r"\d\d:\d\d", await page.locator(".as-of").inner_text())
        assert await page.locator(".spinner").count() == 0
        # Meanwhile something happens; once there is network the page finds it by itself.
        code = await tong.code(member)
        body = {"code": code, "bill": bill(), "legs": [points_leg(1_000)]}
        assert (await tong.verify(stack.terminals["mall"], body, fresh_key())).status_code == 201
        await visitor.context.set_offline(False)
        await visitor.wait(".total-figure", "9,000")
        await visitor.wait(".as-of", state="detached")


async def test_what_does_not_load_says_so_and_loads_by_itself_later(browser: Browser, stack: Stack) -> None:
    """The network is there, the gateway is not: no event of the browser tells when it is back."""
    member = await stack.member(*LOTS)
    # A page that a service worker looks after does not ask a test's routes.
    async with member_page(browser, stack, member, "/app/#benefits", service_workers="block") as visitor:
        page = visitor.page
        # At each start of the page: an answer that is still on its way would write the copy again before the reload.
        await visitor.context.add_init_script("sessionStorage.removeItem('tong.member.copy')")
        await visitor.context.route("**/v1/me**", lambda route: route.abort())
        await visitor.context.route("**/v1/group", lambda route: route.abort())
        await page.reload()
        await visitor.wait(".other-place .waiting", "恢復連線後自動載入")
        await visitor.context.unroute_all(behavior="wait")
        await visitor.wait(".other-place .waiting", "還沒有權益")


async def test_signing_out_leaves_nothing_of_the_member_in_the_browser(browser: Browser, stack: Stack) -> None:
    member = await stack.member(*LOTS)
    at = f"/app/#demo={stack.demo['pages_access_token']}"
    async with member_page(browser, stack, member, at) as visitor:
        page = visitor.page
        await visitor.wait("[data-testid=points]")
        assert "tong.member.copy" in await page.evaluate("Object.keys(sessionStorage)")
        await page.locator(".bar .icon-button").click()
        await page.get_by_role("button", name="登出").click()
        await visitor.wait(".who")
        kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert member.member_id not in kept
        assert "測" not in kept


async def test_the_demo_offers_its_members_and_a_bad_token_is_refused(browser: Browser, stack: Stack) -> None:
    async with visiting(browser, stack.base_url) as visitor:
        page = visitor.page
        await visitor.open(f"/app/#demo={stack.demo['pages_access_token']}")
        await visitor.wait(".who")
        assert await page.locator(".who").count() >= 20
        await page.locator("summary").click()
        await page.get_by_label("存取權杖").fill("not a token")
        await page.get_by_role("button", name="登入").click()
        await visitor.wait("[role=alert]", "無效")
        await page.locator(".who").first.click()
        await visitor.wait(".qr")
        await page.locator(".bar .icon-button").click()
        await page.get_by_role("button", name="登出").click()
        await visitor.wait(".who")
        assert await page.evaluate("Object.keys(sessionStorage)") == ["tong.demo-token"]


@pytest.mark.parametrize(
    ("locale", "language", "words"),
    [
        ("zh-HK", "zh-Hant", "請向店員出示。調亮屏幕"),
        ("zh-CN", "zh-Hans", "请向店员出示"),
        ("en-GB", "en", "Show this code"),
    ],
)
async def test_the_page_speaks_the_language_of_the_browser_and_the_one_chosen(
    browser: Browser, stack: Stack, locale: str, language: str, words: str
) -> None:
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member, locale=locale) as visitor:
        page = visitor.page
        await visitor.wait(".hint", words)
        assert await page.evaluate("document.documentElement.lang") == language
        other, said = ("English", "Show this code") if language != "en" else ("繁體中文", "請向店員出示")
        await page.locator(".bar .icon-button").click()
        await page.get_by_role("button", name=other).click()
        await page.keyboard.press("Escape")
        await visitor.wait(".hint", said)
        await page.reload()
        await visitor.wait(".hint", said)


@pytest.mark.parametrize(
    ("size", "theme"),
    [((320, 640), "light"), (PHONE, "dark"), ((844, 390), "light"), (TABLET, "light"), (DESKTOP, "dark")],
)
async def test_every_view_fits_the_screen_and_is_accessible(
    browser: Browser, stack: Stack, tong: TongClient, size: tuple[int, int], theme: str
) -> None:
    member = await stack.member(*LOTS)
    async with member_page(browser, stack, member, size=size, theme=theme, locale="en-GB") as visitor:
        page = visitor.page
        body = {"code": (await scanned(page))["QR Code"], "bill": bill(), "legs": [points_leg(100)]}
        assert (await tong.verify(stack.terminals["spa"], body, fresh_key())).status_code == 201
        await visitor.wait(".happened")
        findings = await visitor.serious_findings()
        await page.keyboard.press("Escape")
        for tab in ("code", "benefits", "points", "activity"):
            await page.evaluate("tab => { location.hash = tab }", tab)
            await page.locator(f".show-{tab}").wait_for()
            content, window = await visitor.widest()
            assert content <= window, (tab, content, window)
            findings += await visitor.serious_findings()
        await page.locator(".bar .icon-button").click()
        findings += await visitor.serious_findings()
        assert findings == []
