"""The scanner page in a real browser, on a real stack: every way to read a code, and every way a call can go wrong.

A scanner's burst is made of key events within one turn of the page, as fast as a wedge can be: timing of the test's own
machine plays no part.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from playwright.async_api import Browser, Route

from tests.support.browser import DESKTOP, PHONE, TABLET, Visitor, visiting
from tests.support.client import TongClient, client_of
from tests.support.oracle import until_drained
from tests.support.stack import Member, Stack, Terminal

BURST = """(keys) => {
    for (const key of keys) {
        const pressed = new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true})
        const target = document.activeElement ?? document.body
        if (!target.dispatchEvent(pressed) || key.length > 1 || target.tagName !== 'INPUT') continue
        target.value += key  // as the browser does with a key that nobody prevented
        target.dispatchEvent(new Event('input', {bubbles: true}))
    }
}"""
POINTS = 50_000
_numbers = count(1)


@pytest.fixture
async def tong(stack: Stack) -> AsyncIterator[TongClient]:
    async with client_of(stack) as client:
        yield client


class Till:
    """A scanner page, signed in as a terminal."""

    def __init__(self, visitor: Visitor, stack: Stack, tong: TongClient, terminal: Terminal) -> None:
        self.visitor = visitor
        self.page = visitor.page
        self.stack = stack
        self.tong = tong
        self.terminal = terminal

    async def scan(self, text: str, *, end: str | None = "Enter") -> None:
        await self.page.evaluate(BURST, [*text, *([end] if end else [])])

    async def bill(self, figures: str) -> None:
        for figure in figures:
            await self.page.get_by_role("button", name=figure, exact=True).click()

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def see(self, selector: str, text: str | None = None) -> None:
        await self.visitor.wait(selector, text)

    async def take(self, member: Member, figures: str) -> None:
        """Bill, scan and confirm; what comes of it is not waited for."""
        await self.bill(figures)
        await self.scan(await self.tong.code(member))
        await self.see(".basket")
        await self.page.locator(".confirm").click()

    async def journal(self) -> list[dict[str, Any]]:
        kept = await self.page.evaluate("localStorage.getItem('tong.scanner.journal')")
        found: list[dict[str, Any]] = json.loads(kept or "[]")
        return found


@asynccontextmanager
async def till_of(
    browser: Browser, stack: Stack, tong: TongClient, *, size: tuple[int, int] = DESKTOP, **options: Any
) -> AsyncIterator[Till]:
    terminal = await stack.terminal(f"scanner-{next(_numbers)}")
    session = {"terminal": {"credential": terminal.api_key, "label": ""}}
    async with visiting(browser, stack.base_url, size=size, session=session, **options) as visitor:
        await visitor.open("/scanner/")
        await visitor.wait(".scan-target")
        await visitor.wait(".till-place")
        yield Till(visitor, stack, tong, terminal)


async def redemptions_of(stack: Stack, terminal: Terminal) -> list[str]:
    """Kinds of the ledger's transactions at a terminal, in order, once the ledger has all of them."""
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
        rows = await ledger.fetch(
            "SELECT kind FROM ledger_transaction WHERE terminal = $1 ORDER BY occurred_at, entry_ms, entry_seq",
            terminal.terminal_id,
        )
    return [row["kind"] for row in rows]


@pytest.mark.parametrize("end", ["Enter", None], ids=["with Enter", "without Enter"])
async def test_a_wedge_is_read_whatever_has_the_focus_and_one_tap_takes_the_best_basket(
    browser: Browser, stack: Stack, tong: TongClient, end: str | None
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong) as till:
        await till.bill("25800")
        await till.see("[data-testid=bill]", "258.00")
        await till.page.locator(".bill-entry input").fill("TABLE-7")
        code = await tong.code(member)
        await till.scan(code, end=end)
        await till.see(".basket", "5,000")
        assert await till.page.locator("[data-testid=payable]").inner_text() == "¥208.00"
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await till.page.locator("[data-testid=charge]").inner_text() == "¥208.00"
        assert await tong.points(member) == 0
        (attempt,) = await till.journal()
        assert attempt["scan"]["bill"]["reference"] == "TABLE-7", "the burst went into the field"
        assert attempt["state"] == "applied"
        assert "code" not in attempt["scan"], "a decided attempt keeps its code"
        assert till.terminal.api_key not in json.dumps(await till.page.evaluate("({...localStorage})"))
        await till.press("下一位")
        await till.scan(code)
        await till.see(".notice.bad", "請會員重新整理代碼後再掃")


async def test_digits_are_typed_by_hand_and_identify_a_member_without_a_bill(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong, size=PHONE) as till:
        (code,) = await tong.codes(member)
        await till.press("輸入 18 位數字")
        await till.page.locator(".digits-input").fill(code.digits)
        await till.press("繼續")
        await till.see(".basket", "5,000")
        await till.press("確認身分")
        await till.see(".outcome.good", "身分已確認")
        assert await tong.points(member) == 5_000


async def test_figures_typed_by_a_person_are_the_bill(browser: Browser, stack: Stack, tong: TongClient) -> None:
    async with till_of(browser, stack, tong) as till:
        await till.page.keyboard.type("1234", delay=150)
        await till.see("[data-testid=bill]", "12.34")
        await till.page.keyboard.press("Backspace")
        await till.see("[data-testid=bill]", "1.23")


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key_and_taken_once(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", POINTS, 2))
    keys: list[str] = []

    async def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        answer = await route.fetch()
        if len(keys) == 1:
            await route.abort()
        else:
            await route.fulfill(response=answer)

    async with till_of(browser, stack, tong) as till:
        await till.page.route("**/v1/verify", lose_the_first_answer)
        await till.take(member, "10000")
        await till.see(".outcome.good", "核銷完成")
        await till.page.unroute_all(behavior="wait")
        assert len(keys) >= 2
        assert len(set(keys)) == 1
        assert await tong.points(member) == POINTS - 10_000
        assert await redemptions_of(stack, till.terminal) == ["redeem"]


async def test_a_reload_in_the_middle_of_a_call_settles_it_first(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", POINTS, 2))

    async def keep_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort()

    async with till_of(browser, stack, tong) as till:
        await till.page.route("**/v1/verify", keep_the_answer)
        await till.take(member, "10000")
        await till.see(".outcome.unknown", "請勿重新掃碼")
        assert (await till.journal())[0]["state"] == "unknown"
        await till.page.unroute_all(behavior="wait")
        await till.page.reload()
        await till.see(".outcome.good", "核銷完成")
        assert await redemptions_of(stack, till.terminal) == ["redeem"]
        assert await tong.points(member) == POINTS - 10_000


async def test_what_stays_unknown_is_given_up_and_everything_is_back(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", POINTS, 2))
    arrived = False

    async def arrive_once(route: Route) -> None:
        nonlocal arrived
        if not arrived:
            arrived = True
            await route.fetch()
        await route.abort()

    async with till_of(browser, stack, tong) as till:
        await till.page.route("**/v1/verify", arrive_once)
        await till.take(member, "10000")
        await till.see(".outcome.unknown .button.quiet:enabled", "放棄並取消")
        await till.press("放棄並取消")
        await till.see(".outcome", "已取消")
        await till.see(".outcome-hint", "全部退還")
        await till.page.unroute_all(behavior="wait")
        assert await tong.points(member) == POINTS
        assert await redemptions_of(stack, till.terminal) == ["redeem", "reverse"]
        assert [each["state"] for each in await till.journal()] == ["cancelled"]


async def test_a_hold_is_captured_in_part_from_the_list_and_the_rest_is_released(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 3_000, 2))
    async with till_of(browser, stack, tong, size=TABLET) as till:
        await till.bill("88800")
        await till.scan(await tong.code(member))
        await till.see(".basket")
        await till.press("預留")
        await till.press("確認預留")
        await till.see(".outcome.held", "已預留")
        await till.press("下一位")
        await till.page.locator(".last-scans").click()
        await till.page.locator(".sheet .entry").first.click()
        await till.see(".sheet .offer")
        await till.page.locator(".sheet .offer input").fill("1000")
        await till.press("請款")
        await till.see(".sheet .chip.good", "已核銷")
        assert await tong.points(member) == 2_000
        assert await redemptions_of(stack, till.terminal) == ["hold", "capture"]


async def test_the_same_basket_twice_asks_whether_it_is_another_purchase(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", POINTS, 2))
    async with till_of(browser, stack, tong, size=PHONE) as till:
        await till.take(member, "10000")
        await till.see(".outcome.good")
        await till.press("下一位")
        await till.take(member, "10000")
        await till.see(".outcome.bad", "未核銷")
        assert await tong.points(member) == POINTS - 10_000
        await till.press("是另一筆消費：照樣核銷")
        await till.see(".outcome.good", "核銷完成")
        assert await tong.points(member) == POINTS - 20_000


@pytest.mark.parametrize(
    ("locale", "size", "words"),
    [
        ("en-GB", DESKTOP, "Scan the member's code"),
        ("zh-CN", TABLET, "请扫会员的代码"),
        ("zh-TW", PHONE, "請掃會員的代碼"),
    ],
)
async def test_every_state_fits_its_size_and_can_be_used_by_everybody(
    browser: Browser, stack: Stack, tong: TongClient, locale: str, size: tuple[int, int], words: str
) -> None:
    member = await stack.member(("hotel", POINTS, 2))
    async with till_of(browser, stack, tong, size=size, locale=locale) as till:

        async def good() -> None:
            content, window = await till.visitor.widest()
            assert content <= window
            assert await till.visitor.serious_findings() == []

        await till.see(".scan-target", words)
        await good()
        await till.bill("10000")
        await till.scan(await tong.code(member))
        await till.see(".basket")
        await good()
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good")
        await good()
