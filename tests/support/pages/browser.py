"""Pages in a real browser: what a test sees of them, and what no page may ever do.

browsing()          one headless Chromium
Visitor             a page of its own (own storage, own size and language); `faults` collects what must not happen:
                    errors of scripts, violations of the Content-Security-Policy, requests to another host
symbols(png)        what a scanner reads in a screenshot
serious_findings()  axe-core's findings of impact serious or critical
"""

import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import zxingcpp
from PIL import Image
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from tests.support.pages.chromium import executable

ROOT: Final = Path(__file__).parents[3]
AXE: Final = ROOT / "gateway" / "pages" / "web" / "node_modules" / "axe-core" / "axe.min.js"
PHONE: Final = (390, 844)
TABLET: Final = (820, 1180)
DESKTOP: Final = (1440, 900)
WAIT_MS: Final = 30_000
NETWORK_IS_AWAY: Final = ("net::ERR_INTERNET_DISCONNECTED", "net::ERR_FAILED", "net::ERR_NETWORK_CHANGED")
"""What the console says of a request that a test cut off itself; a refusal (4xx) is said there too and is no fault."""


@asynccontextmanager
async def browsing(*arguments: str) -> AsyncIterator[Browser]:
    """A headless Chromium for the length of the block."""
    # Chromium refuses its sandbox to root; what it opens here is this product and nothing else.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=[*sandbox, "--disable-dev-shm-usage", *arguments]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """One page in a context of its own."""

    def __init__(self, context: BrowserContext, page: Page, base_url: str) -> None:
        self.context = context
        self.page = page
        self.base_url = base_url
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        said = message.text
        if (
            message.type == "error"
            and "Failed to load resource" not in said
            and not any(away in said for away in NETWORK_IS_AWAY)
        ):
            self.faults.append(f"console: {said}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(self.base_url).netloc:
            self.faults.append(f"another host: {request.url}")

    async def open(self, path: str) -> None:
        await self.page.goto(self.base_url + path)

    async def wait(self, selector: str, text: str | None = None, *, state: Any = "visible") -> None:
        """Until an element is there (with this text within it)."""
        found = self.page.locator(selector)
        if text is not None:
            found = found.filter(has_text=text)
        await found.first.wait_for(state=state, timeout=WAIT_MS)

    async def widest(self) -> tuple[int, int]:
        """Width of the content and of the window: no page scrolls sideways."""
        found = await self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        return int(found[0]), int(found[1])

    async def serious_findings(self, *rules: str) -> list[str]:
        """Return axe-core's serious and critical findings, each with the element it is about; of these rules only,
        where some are named."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))  # not a script of the page: its policy is not asked
        options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        found = await self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{each['id']}: {each['help']}: {json.dumps(node['target'])} {node.get('failureSummary', '')}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]


@asynccontextmanager
async def visiting(
    browser: Browser,
    base_url: str,
    *,
    size: tuple[int, int] = PHONE,
    locale: str = "zh-TW",
    theme: Any = "light",
    session: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Visitor]:
    """A visitor whose `session` (by role: member, terminal, operations) is signed in from the start.

    Raises AssertionError at the end for every fault that the visit collected.
    """
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        color_scheme=theme,
        reduced_motion="reduce",
        **options,
    )
    try:
        context.set_default_timeout(WAIT_MS)
        for role, kept in (session or {}).items():
            value = json.dumps(json.dumps(kept))
            await context.add_init_script(f"sessionStorage.setItem('tong.session.{role}', {value})")
        visitor = Visitor(context, await context.new_page(), base_url)
        yield visitor
        assert visitor.faults == []
    finally:
        await context.close()


def symbols(png: bytes) -> dict[str, str]:
    """What stands in a picture, by kind of symbol: `QR Code`, `Code 128`."""
    with Image.open(io.BytesIO(png)) as picture:
        found = zxingcpp.read_barcodes(picture.convert("L"))
    return {str(each.format): str(each.text) for each in found}
