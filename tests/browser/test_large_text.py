"""Every page with text twice as large, and in narrow windows (WCAG 1.4.4, 1.4.10).

axe-core finds nothing serious; nothing overlaps, is cut off or cannot be reached, in light and dark, with names and
balances as long as they may be.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.pages.browser import Visitor, visiting
from tests.support.pages.page_layout import LAYOUT, TEXT_AT_200_PERCENT
from tests.support.pages.till_page import Till
from tests.support.servers.stack import Member, Stack, Terminal

pytestmark = pytest.mark.timeout(300)
"""axe-core looks at up to six states in one test."""

LONG = "wolfeschlegelsteinhausenberg"
"""28 letters without a space; its outlet has 32."""
NINE_DIGITS = 999_999_999
LARGE = [((390, 844), "light"), ((390, 844), "dark"), ((844, 390), "light"), ((844, 390), "dark")]
NARROW = [(320, 640), (720, 450)]
"""The width of WCAG 1.4.10, and a desk's window at a zoom of 200 %."""
WINDOWS = [
    *(pytest.param(size, theme, True, id=f"{size[0]}x{size[1]} {theme}, text at 200 %") for size, theme in LARGE),
    *(pytest.param(size, "light", False, id=f"{size[0]}x{size[1]}") for size in NARROW),
]


@pytest.fixture(scope="module")
async def till(stack: Stack) -> Terminal:
    return await stack.terminal(LONG)


@pytest.fixture(scope="module")
async def member(stack: Stack, tong: TongClient, till: Terminal) -> Member:
    """Nine digits of points, benefits, and a use at the business with the long name."""
    found = await stack.member(("hotel", NINE_DIGITS, 2), benefits={"parking-hours": 9, "dining-80": 1})
    body = {"code": await tong.code(found), "bill": bill(NINE_DIGITS), "legs": [points_leg(1)]}
    assert (await tong.verify(till, body, fresh_key())).status_code == 201
    return found


@asynccontextmanager
async def window(
    browser: Browser,
    stack: Stack,
    size: tuple[int, int],
    theme: str,
    large: bool,
    session: dict[str, Any] | None = None,
) -> AsyncIterator[Visitor]:
    options: dict[str, Any] = {"size": size, "theme": theme, "locale": "en-GB", "session": session}
    async with visiting(browser, stack.base_url, **options) as visitor:
        if large:
            script = f"addEventListener('DOMContentLoaded', () => {{ {TEXT_AT_200_PERCENT} }})"
            await visitor.context.add_init_script(script)
        yield visitor


async def nothing_is_wrong(visitor: Visitor, state: str) -> None:
    found: list[str] = await visitor.page.evaluate(LAYOUT)
    assert found == [], state
    assert await visitor.serious_findings() == [], state


def as_(role: str, credential: str) -> dict[str, Any]:
    return {role: {"credential": credential, "label": ""}}


@pytest.mark.parametrize(("size", "theme", "large"), WINDOWS)
async def test_the_member_page(
    browser: Browser, stack: Stack, tong: TongClient, till: Terminal, member: Member,
    size: tuple[int, int], theme: str, large: bool,
) -> None:  # fmt: skip
    async with window(browser, stack, size, theme, large, as_("member", member.access_token)) as visitor:
        page = visitor.page
        await visitor.open("/app/")
        await visitor.wait(".qr")
        await visitor.wait(".bar .chip.good")
        await visitor.wait("[data-testid=points]")
        await nothing_is_wrong(visitor, "code")
        for tab in ("benefits", "points", "activity"):
            await page.evaluate("tab => { location.hash = tab }", tab)
            await visitor.wait(f".show-{tab} .view")
            if tab == "activity":
                await visitor.wait(".activity summary", LONG[:10])
                await page.locator(".activity details").first.evaluate("found => { found.open = true }")
            await nothing_is_wrong(visitor, tab)
        await page.locator(".bar .icon-button").click()
        await visitor.wait(".sheet")
        await nothing_is_wrong(visitor, "settings")
        await page.keyboard.press("Escape")
        legs = [points_leg(1)]
        body = {"code": await tong.code(member), "bill": bill(NINE_DIGITS), "legs": legs, "confirm_duplicate": True}
        assert (await tong.verify(till, body, fresh_key())).status_code == 201
        await visitor.wait(".happened")
        await nothing_is_wrong(visitor, "used")


@pytest.mark.parametrize(("size", "theme", "large"), WINDOWS)
async def test_the_scanner_page(
    browser: Browser, stack: Stack, tong: TongClient, till: Terminal, member: Member,
    size: tuple[int, int], theme: str, large: bool,
) -> None:  # fmt: skip
    async with window(browser, stack, size, theme, large, as_("terminal", till.api_key)) as visitor:
        at_till = Till(visitor, stack, tong, till)
        await visitor.open("/scanner/")
        await visitor.wait(".till-place")
        await visitor.wait(".scan-target")
        await at_till.bill("999999999")
        await nothing_is_wrong(visitor, "ready")
        code = await tong.code(member)
        await at_till.scan(code)
        await visitor.wait(".basket")
        await nothing_is_wrong(visitor, "basket")
        body = {"code": code, "legs": []}
        assert (await tong.verify(till, body, fresh_key())).status_code == 201
        await visitor.page.locator(".confirm").click()
        await visitor.wait(".outcome.bad")
        await nothing_is_wrong(visitor, "refused")
        if await visitor.page.locator(".last-scans").is_visible():
            await visitor.page.locator(".last-scans").click()
            await visitor.wait(".sheet .entry")
            await nothing_is_wrong(visitor, "list")


@pytest.mark.parametrize(("size", "theme", "large"), WINDOWS)
async def test_the_operations_page(
    browser: Browser, stack: Stack, member: Member, till: Terminal, size: tuple[int, int], theme: str, large: bool
) -> None:
    async with window(browser, stack, size, theme, large, as_("operations", stack.demo["admin_api_key"])) as visitor:
        await visitor.open("/ops/")
        await visitor.wait(f"[data-business={till.business}]")
        await visitor.page.locator(f"[data-business={till.business}] .unfold").click()
        await visitor.wait(".outlet th")
        await nothing_is_wrong(visitor, "figures")


@pytest.mark.parametrize("path", ["/app/", "/scanner/", "/ops/"])
@pytest.mark.parametrize(("size", "theme", "large"), WINDOWS)
async def test_signing_in(
    browser: Browser, stack: Stack, size: tuple[int, int], theme: str, large: bool, path: str
) -> None:
    async with window(browser, stack, size, theme, large) as visitor:
        await visitor.open(f"{path}#demo={stack.demo['pages_access_token']}")
        await visitor.wait(".who")
        await visitor.page.locator(".sign-in details").evaluate("found => { found.open = true }")
        await visitor.page.locator("input[type=password]").fill("not a key")
        await visitor.page.locator("form .button").click()
        await visitor.wait(".notice.bad")
        await nothing_is_wrong(visitor, "signed out")


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize(("size", "theme", "large"), WINDOWS)
async def test_the_way_in_and_the_reference(
    browser: Browser, stack: Stack, size: tuple[int, int], theme: str, large: bool, path: str
) -> None:
    async with window(browser, stack, size, theme, large) as visitor:
        await visitor.open(path)
        await visitor.wait("h1")
        await nothing_is_wrong(visitor, path)


async def test_the_check_sees_what_it_is_for(browser: Browser, stack: Stack) -> None:
    """The control: each fault, made on purpose, is found."""
    async with window(browser, stack, (390, 844), "light", False) as visitor:
        await visitor.open("/")
        await visitor.wait(".door")
        assert await visitor.page.evaluate(LAYOUT) == []
        style = "(text) => { document.querySelector('main').style.cssText = text }"
        for spoilt, fault in (
            ("width: 600px", "sideways"),
            ("height: 40px; overflow: hidden", "cut off"),
            ("line-height: 0", "overlapping"),
        ):
            await visitor.page.evaluate(style, spoilt)
            found = await visitor.page.evaluate(LAYOUT)
            assert any(each.startswith(fault) for each in found), (fault, found)
        await visitor.page.evaluate(style, "")
        cover = "const over = document.createElement('div'); over.style.cssText = 'position: fixed; inset: 0'"
        await visitor.page.evaluate(f"() => {{ {cover}; document.body.append(over) }}")
        found = await visitor.page.evaluate(LAYOUT)
        assert any(each.startswith("unreachable") for each in found), found
