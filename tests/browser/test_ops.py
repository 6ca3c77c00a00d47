"""The operations page in a real browser: what happens at the tills stands there a moment later, with its figures."""

import json

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.pages.browser import DESKTOP, PHONE, TABLET, WAIT_MS, Visitor, visiting
from tests.support.servers.stack import Stack, Terminal


def signed_in(stack: Stack) -> dict[str, dict[str, str]]:
    return {"operations": {"credential": stack.demo["admin_api_key"], "label": ""}}


def taken_at(visitor: Visitor, terminal: Terminal) -> Locator:
    """What the page says a business has taken since the start; a business that has nothing yet has no row."""
    return visitor.page.locator(f"[data-business={terminal.business}] [data-total]")


async def test_a_redemption_and_a_refusal_appear_where_they_happened(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member, till = await stack.member(("hotel", 5_000, 2)), await stack.terminal("watched")
    async with visiting(browser, stack.base_url, size=DESKTOP, session=signed_in(stack)) as visitor:
        await visitor.open("/ops/")
        await visitor.wait(".tile")
        assert await taken_at(visitor, till).count() == 0
        code = await tong.code(member)
        body = {"code": code, "bill": bill(20_000), "legs": [points_leg(700)]}
        assert (await tong.verify(till, body, fresh_key())).status_code == 201
        assert (await tong.verify(till, body, fresh_key())).status_code == 409
        await expect(taken_at(visitor, till)).to_have_text("1", timeout=WAIT_MS)
        refused = visitor.page.locator(".refusals tr").filter(has_text=till.terminal_id).filter(has_text="code_used")
        await expect(refused).to_have_count(1, timeout=WAIT_MS)
        await visitor.page.locator(f"[data-business={till.business}] .unfold").click()
        await visitor.wait(".outlet th")


async def test_paused_the_page_stands_still_and_catches_up_when_it_goes_on(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member, till = await stack.member(("hotel", 5_000, 2)), await stack.terminal("paused")
    async with (
        visiting(browser, stack.base_url, size=DESKTOP, session=signed_in(stack)) as visitor,
        visiting(browser, stack.base_url, size=DESKTOP, session=signed_in(stack)) as other,
    ):
        for each in (visitor, other):
            await each.open("/ops/")
            await each.wait(".tile")
        await visitor.page.get_by_role("button", name="暫停").click()
        await visitor.wait(".chip.info", "已暫停")
        assert (await tong.verify(till, {"code": await tong.code(member)}, fresh_key())).status_code == 201
        await expect(taken_at(other, till)).to_have_text("1", timeout=WAIT_MS)
        assert await taken_at(visitor, till).count() == 0
        await visitor.page.get_by_role("button", name="繼續").click()
        await expect(taken_at(visitor, till)).to_have_text("1", timeout=WAIT_MS)


async def test_the_charts_have_the_last_hour_and_a_piece_of_it_can_be_looked_at(browser: Browser, stack: Stack) -> None:
    async with visiting(browser, stack.base_url, size=DESKTOP, session=signed_in(stack)) as visitor:
        await visitor.open("/ops/")
        await visitor.wait(".chart .u-over")
        assert await visitor.page.locator(".chart .u-over").count() == 4
        chart = visitor.page.locator(".chart .u-over").first
        await chart.scroll_into_view_if_needed()
        box = await chart.bounding_box()
        assert box is not None
        across = box["y"] + box["height"] / 2
        await visitor.page.mouse.move(box["x"] + box["width"] * 0.3, across)
        await visitor.page.mouse.down()
        await visitor.page.mouse.move(box["x"] + box["width"] * 0.7, across, steps=5)
        await visitor.page.mouse.up()
        await visitor.page.get_by_role("button", name="顯示全部").click()
        await visitor.wait("p", "在圖上拖曳可放大")


async def test_a_key_without_the_role_is_told_so(browser: Browser, stack: Stack) -> None:
    async with visiting(browser, stack.base_url, size=TABLET) as visitor:
        await visitor.open(f"/ops/#demo={stack.demo['pages_access_token']}")
        await visitor.page.locator("details summary").click()
        await visitor.page.locator("input[type=password]").fill(stack.terminals["hotel"].api_key)
        await visitor.page.get_by_role("button", name="登入").click()
        await visitor.wait(".notice.bad", "operations")
        kept = await visitor.page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
        assert stack.terminals["hotel"].api_key not in json.dumps(kept)


@pytest.mark.parametrize(
    ("locale", "size", "words"),
    [("en-GB", DESKTOP, "Redemptions a second"), ("zh-CN", TABLET, "每秒核销"), ("zh-TW", PHONE, "每秒核銷")],
)
async def test_it_fits_every_size_and_can_be_used_by_everybody(
    browser: Browser, stack: Stack, locale: str, size: tuple[int, int], words: str
) -> None:
    async with visiting(browser, stack.base_url, size=size, locale=locale, session=signed_in(stack)) as visitor:
        await visitor.open("/ops/")
        await visitor.wait(".tile", words)
        content, window = await visitor.widest()
        assert content <= window
        assert await visitor.serious_findings() == []
