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

from tests.support.api.client import TongClient
from tests.support.pages.browser import DESKTOP, Visitor, visiting
from tests.support.servers.stack import Member, Stack, Terminal

BURST: Final = """(keys) => {
    let at = performance.now() - 2 * keys.length - 1000  // a second ago: what the test presses next is no part of it
    for (const key of keys) {
        const pressed = new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true})
        Object.defineProperty(pressed, 'timeStamp', {value: (at += 2)})
        const target = document.activeElement ?? document.body
        if (!target.dispatchEvent(pressed) || key.length > 1 || target.tagName !== 'INPUT') continue
        target.value += key  // as the browser does with a key that nobody prevented
        target.dispatchEvent(new Event('input', {bubbles: true}))
    }
}"""
STROKES: Final = """(strokes) => {
    let at = performance.now()
    for (const {gap, ...stroke} of strokes) {
        const pressed = new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...stroke})
        Object.defineProperty(pressed, 'timeStamp', {value: (at += gap)})
        const target = document.activeElement ?? document.body
        const isKept = target.dispatchEvent(pressed)
        if (isKept && stroke.key === 'Enter' && target.tagName === 'BUTTON') target.click()
        if (!isKept || stroke.key.length > 1 || target.tagName !== 'INPUT') continue
        target.value += stroke.key  // as the browser does with a key that nobody prevented
        target.dispatchEvent(new Event('input', {bubbles: true}))
    }
}"""
_PLACES: Final = {"-": ("Minus", False), "_": ("Minus", True), ".": ("Period", False)}
_FRENCH: Final = dict(zip("0123456789", "à&é\"'(-è_ç", strict=True)) | dict(zip("aqzwm", "qawz,", strict=True))
_numbers: Final = count(1)


def stroke(character: str, *, gap: float = 2, heard: str | None = None) -> dict[str, Any]:
    """A key as a scanner presses it on a keyboard of the United States; `heard` is what the computer makes of it."""
    if character.isdigit():
        code, shift = f"Digit{character}", False
    elif character.isalpha():
        code, shift = f"Key{character.upper()}", character.isupper()
    else:
        code, shift = _PLACES[character]
    return {"key": character if heard is None else heard, "code": code, "shiftKey": shift, "gap": gap}


ENTER: Final[dict[str, Any]] = {"key": "Enter", "code": "Enter", "shiftKey": False, "gap": 2}


def french(character: str) -> str:
    """What a French layout makes of the key of a character."""
    return _FRENCH.get(character.lower(), character)


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
        """Bill, scan, all points and confirm. Does not wait for the outcome."""
        await self.basket(member, figures)
        await self.all_points()
        await self.page.locator(".confirm").click()

    async def basket(self, member: Member, figures: str, text: str | None = None) -> None:
        """Bill and scan a fresh code of the member, and wait for the basket, with this text within it."""
        await self.bill(figures)
        await self.scan(await self.tong.code(member))
        await self.see(".basket", text)

    async def all_points(self) -> None:
        """Chooses as many points as may be used here."""
        await self.page.locator(".points .quick .button.quiet").last.click()

    async def strokes(self, strokes: list[dict[str, Any]]) -> None:
        """Presses keys that say themselves when they came."""
        await self.page.evaluate(STROKES, strokes)

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
