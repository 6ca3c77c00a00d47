"""The scanner page as a cashier uses it: a till of a business of its own, signed in, with its bursts and buttons.

A scanner's burst is made of key events within one turn of the page that say they came 2 ms apart, as a wedge's do:
timing of the test's own machine plays no part.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

from playwright.async_api import Browser

from tests.support.browser import DESKTOP, Visitor, visiting
from tests.support.client import TongClient
from tests.support.stack import Member, Stack, Terminal

BURST: Final = """(keys) => {
    let at = performance.now()
    for (const key of keys) {
        const pressed = new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true})
        Object.defineProperty(pressed, 'timeStamp', {value: (at += 2)})
        const target = document.activeElement ?? document.body
        if (!target.dispatchEvent(pressed) || key.length > 1 || target.tagName !== 'INPUT') continue
        target.value += key  // as the browser does with a key that nobody prevented
        target.dispatchEvent(new Event('input', {bubbles: true}))
    }
}"""
_numbers: Final = count(1)


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
