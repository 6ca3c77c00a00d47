"""The text size that a person chose in the browser's own settings (WCAG 1.4.4): pages follow it, and nothing breaks."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.support.api.client import TongClient
from tests.support.pages.browser import browsing, visiting
from tests.support.pages.page_layout import LAYOUT
from tests.support.servers.stack import Stack

CHOSEN_PIXELS = 32
"""Twice the browser's 16."""
PORTRAIT, LANDSCAPE = (390, 844), (844, 390)


@pytest.fixture(scope="module")
async def large_text() -> AsyncIterator[Browser]:
    # What Chromium's settings page writes as the font size; it has no other way in from outside.
    async with browsing(f"--blink-settings=defaultFontSize={CHOSEN_PIXELS}") as running:
        yield running


def signed_in(role: str, credential: str) -> dict[str, Any]:
    return {role: {"credential": credential, "label": ""}}


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("path", ["/", "/app/", "/scanner/", "/ops/"])
async def test_pages_follow_the_browsers_own_text_size(
    large_text: Browser, stack: Stack, tong: TongClient, path: str, size: tuple[int, int]
) -> None:
    member = await stack.member(("hotel", 1_000, 2))
    terminal = await stack.terminal(f"large-{path.strip('/') or 'home'}-{size[0]}")
    session, ready = {
        "/": (None, ".door"),
        "/app/": (signed_in("member", member.access_token), ".qr"),
        "/scanner/": (signed_in("terminal", terminal.api_key), ".scan-target"),
        "/ops/": (signed_in("operations", stack.demo["admin_api_key"]), "[data-business]"),
    }[path]
    async with visiting(large_text, stack.base_url, size=size, locale="zh-CN", session=session) as visitor:
        await visitor.open(path)
        await visitor.wait(ready)
        root = await visitor.page.evaluate("getComputedStyle(document.documentElement).fontSize")
        assert root == f"{CHOSEN_PIXELS}px", "a size in pixels somewhere keeps the person's choice out"
        assert await visitor.page.evaluate(LAYOUT) == []
        assert await visitor.serious_findings() == []
