"""`python -m tests.browser.screenshots FOLDER [SCENE …]`: pictures of the pages, from the demo that runs now.

Needs a running `make run` (its demo.json below TONG_HOME). Scenes make real redemptions of demo members. The README's
three pictures are the scene `readme`: `python -m tests.browser.screenshots docs/images readme`.
"""

import asyncio
import io
import itertools
import json
import math
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from playwright.async_api import Browser

from tests.support.pages.browser import DESKTOP, PHONE, TABLET, Visitor, browsing, symbols, visiting
from tests.support.pages.till_page import BURST

Demo = dict[str, Any]
Scene = Callable[[Browser, Demo, Path], Awaitable[None]]
BILL = {
    "reference": "POS-7-20261122-0042",
    "amount_minor": 25_800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25_800}],
}
TABLET_LYING = (TABLET[1], TABLET[0])
TRAFFIC_SECONDS = 75
README_WIDTHS = {"member": 420, "scanner": 900, "operations": 900}


def kept(png: bytes, path: Path) -> None:
    """Writes the picture with a palette."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def small(png: bytes, path: Path) -> None:
    """Writes the picture as the README shows it: at most 900 wide, with a palette of shades and of rare colours."""
    with Image.open(io.BytesIO(png)) as picture:
        width = README_WIDTHS[path.stem]
        shrunk = picture.convert("RGB").resize(
            (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
        )
    shades = shrunk.quantize(160).getpalette() or []  # median cut: shadows stay smooth, thin lines lose their colour
    rare = shrunk.quantize(96, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    both = Image.new("P", (1, 1))
    both.putpalette(shades[: 160 * 3] + rare[: 96 * 3])
    shrunk.quantize(palette=both, dither=Image.Dither.NONE).save(path, optimize=True)


def member(demo: Demo, tier: str) -> dict[str, Any]:
    """The first demo member of a level."""
    return next(dict(each) for each in demo["members"] if each["tier"] == tier)


def signed_in(demo: Demo, tier: str) -> dict[str, Any]:
    """A session of that member, as the page keeps it."""
    return {"member": {"credential": member(demo, tier)["access_token"], "label": ""}}


async def at_till(demo: Demo, business: str, path: str, body: dict[str, Any]) -> None:
    """A till's call, which must be answered."""
    terminal = next(each for each in demo["terminals"] if each["business"] == business)
    headers = {"authorization": f"Bearer {terminal['api_key']}", "idempotency-key": f"shot-{time.time_ns()}"}
    async with httpx2.AsyncClient(base_url=demo["base_url"]) as http:
        answer = await http.post(path, json={"bill": BILL, **body}, headers=headers)
    if answer.status_code != 201:
        raise SystemExit(f"the till was refused: {answer.text}")


async def till_takes(demo: Demo, tier: str, code: str) -> None:
    """The restaurant takes points and, where it may today, the member's benefit."""
    headers = {"authorization": f"Bearer {member(demo, tier)['access_token']}"}
    async with httpx2.AsyncClient(base_url=demo["base_url"]) as http:
        held = (await http.get("/v1/me/benefits", headers=headers)).json()["benefits"]
    legs: list[dict[str, Any]] = [{"kind": "points", "points": 500}]
    if any(each["benefit_id"] == "dining-80" and each["uses_now"] for each in held):
        legs.append({"kind": "benefit", "benefit_id": "dining-80"})
    await at_till(demo, "restaurant", "/v1/verify", {"code": code, "legs": legs, "confirm_duplicate": True})


async def shown_code(visitor: Visitor) -> str:
    """What a scanner reads from the screen."""
    await visitor.wait(".qr")
    return symbols(await visitor.page.screenshot())["QR Code"]


async def member_page(browser: Browser, demo: Demo, folder: Path) -> None:
    """The member's phone: choosing, code, a use, the other tabs; light."""
    async with visiting(browser, demo["base_url"], size=PHONE, device_scale_factor=2) as visitor:
        await visitor.open("/app/")
        await visitor.wait(".who")
        kept(await visitor.page.screenshot(), folder / "member-sign-in.png")
    options: dict[str, Any] = {"size": PHONE, "device_scale_factor": 2, "session": signed_in(demo, "gold")}
    async with visiting(browser, demo["base_url"], **options) as visitor:
        await visitor.open("/app/")
        code = await shown_code(visitor)
        await visitor.wait(".chip.good")
        kept(await visitor.page.screenshot(), folder / "member-code.png")
        await till_takes(demo, "gold", code)
        await visitor.wait(".happened")
        kept(await visitor.page.screenshot(), folder / "member-used.png")
        await visitor.page.locator(".happened .button").click()
        for tab in ("benefits", "points", "activity"):
            await visitor.page.locator(f".tab-{tab}").click()
            await visitor.wait(".view")
            kept(await visitor.page.screenshot(), folder / f"member-{tab}.png")
        await visitor.page.locator(".activity summary").first.click()
        kept(await visitor.page.screenshot(), folder / "member-explained.png")
        await visitor.page.locator(".bar .icon-button").click()
        await visitor.wait(".sheet")
        kept(await visitor.page.screenshot(), folder / "member-settings.png")


async def member_others(browser: Browser, demo: Demo, folder: Path) -> None:
    """Dark, English and wide; enlarged; without network."""
    english: dict[str, Any] = {"locale": "en-GB", "device_scale_factor": 2}
    async with visiting(
        browser, demo["base_url"], size=PHONE, theme="dark", session=signed_in(demo, "diamond"), **english
    ) as visitor:
        await visitor.open("/app/")
        await shown_code(visitor)
        await visitor.wait(".chip.good")
        kept(await visitor.page.screenshot(), folder / "member-code-dark.png")
        await visitor.page.locator(".symbol").click()
        kept(await visitor.page.screenshot(), folder / "member-enlarged.png")
        await visitor.page.locator(".bright .button").click()
        await visitor.context.set_offline(True)
        await visitor.wait(".bar .chip.warn")
        kept(await visitor.page.screenshot(), folder / "member-bridged.png")
        await visitor.context.set_offline(False)
        await visitor.page.locator(".tab-benefits").click()
        await visitor.wait(".view")
        kept(await visitor.page.screenshot(), folder / "member-benefits-dark.png")
    silver = {"authorization": f"Bearer {member(demo, 'silver')['access_token']}"}
    async with httpx2.AsyncClient(base_url=demo["base_url"]) as http:
        code = (await http.post("/v1/me/codes", json={"count": 1}, headers=silver)).json()["codes"][0]["code"]
    await at_till(demo, "mall", "/v1/accruals", {"code": code})
    for name, size in (("tablet", TABLET), ("desktop", DESKTOP)):
        async with visiting(
            browser, demo["base_url"], size=size, locale="zh-CN", session=signed_in(demo, "silver")
        ) as visitor:
            await visitor.open("/app/#activity" if name == "desktop" else "/app/")
            await visitor.wait(".activity" if name == "desktop" else ".qr")
            if name == "desktop":
                await till_takes(demo, "silver", await shown_code(visitor))
                await visitor.wait(".happened")
                await visitor.page.locator(".happened .button").click()
                await visitor.wait(".activity .event-amount", "−500")
                await visitor.page.locator(".activity summary").first.click()
            kept(await visitor.page.screenshot(), folder / f"member-{name}.png")


async def home(browser: Browser, demo: Demo, folder: Path) -> None:
    """The way in, on a phone and on a desk."""
    for name, size, locale in (("phone", PHONE, "zh-TW"), ("desktop", DESKTOP, "en-GB")):
        async with visiting(browser, demo["base_url"], size=size, locale=locale) as visitor:
            await visitor.open("/")
            await visitor.wait(".door")
            kept(await visitor.page.screenshot(), folder / f"home-{name}.png")


async def code_of(demo: Demo, tier: str) -> str:
    """A fresh code of the first member of a level."""
    headers = {"authorization": f"Bearer {member(demo, tier)['access_token']}"}
    async with httpx2.AsyncClient(base_url=demo["base_url"]) as http:
        answer = await http.post("/v1/me/codes", json={"count": 1}, headers=headers)
    return str(answer.json()["codes"][0]["code"])


@asynccontextmanager
async def scanner(browser: Browser, demo: Demo, **options: Any) -> AsyncIterator[Visitor]:
    """The car park's till, signed in."""
    key = next(each["api_key"] for each in demo["terminals"] if each["business"] == "parking")
    session = {"terminal": {"credential": key, "label": ""}}
    async with visiting(browser, demo["base_url"], session=session, **options) as visitor:
        await visitor.open("/scanner/")
        await visitor.wait(".till-place")
        yield visitor


async def scan(visitor: Visitor, demo: Demo, tier: str, figures: str) -> str:
    """Bill and code; the basket stands there afterwards."""
    await visitor.wait(".scan-target")
    for figure in figures:
        await visitor.page.get_by_role("button", name=figure, exact=True).click()
    code = await code_of(demo, tier)
    await visitor.page.evaluate(BURST, [*code, "Enter"])
    await visitor.wait(".basket")
    return code


async def scanner_states(visitor: Visitor, demo: Demo, tier: str, shoot: Callable[[str], Awaitable[None]]) -> None:
    """Every state of the till, one after the other; few points are taken, so that the next visit finds some."""
    page = visitor.page
    points = page.locator(".points .stepper input")
    await visitor.wait(".scan-target")
    await shoot("ready")
    for figure in "25800":
        await page.get_by_role("button", name=figure, exact=True).click()
    await page.locator(".category").first.click()
    await page.locator(".bill-parts input").fill("18000")
    await shoot("split")
    await page.locator(".bill-entry .row .button").click()
    await scan(visitor, demo, tier, "25800")
    await shoot("basket")
    await points.fill("500")
    await page.locator(".confirm").click()
    await visitor.wait(".outcome.good")
    await shoot("taken")
    await page.locator(".outcome .first").click()
    await scan(visitor, demo, tier, "88000")
    await points.fill("800")
    await page.locator(".basket .choice button").last.click()
    await page.locator(".confirm").click()
    await visitor.wait(".outcome.held")
    await shoot("held")
    await page.locator(".outcome .first").click()
    used = await scan(visitor, demo, tier, "6400")
    await at_till(demo, "gym", "/v1/verify", {"code": used, "legs": []})
    await page.locator(".confirm").click()
    await visitor.wait(".outcome.bad")
    await shoot("refused")
    await page.locator(".outcome .button").last.click()
    await scan(visitor, demo, tier, "12000")
    await page.route("**/v1/verify", lambda route: route.abort())
    await page.locator(".confirm").click()
    await visitor.wait(".outcome.unknown .first:enabled")
    await shoot("unknown")
    await page.locator(".outcome .quiet").click()
    await visitor.wait(".outcome.unknown .outcome-ways .first:only-child")
    await page.unroute_all(behavior="wait")
    await shoot("cancelled")
    await page.locator(".outcome .first").click()
    await visitor.wait(".scan-target")
    if await page.locator(".last-scans").is_visible():
        await page.locator(".last-scans").click()
        await visitor.wait(".sheet .entry")
        await shoot("list")
        await page.locator(".sheet .entry:has(.chip.info)").first.click()
    else:
        await page.locator(".beside .entry:has(.chip.info)").first.click()
    await visitor.wait(".sheet .offer")
    await shoot("held-open")


async def scanner_page(browser: Browser, demo: Demo, folder: Path) -> None:
    """Each state on a phone, a tablet and a desk, in light and dark, in three languages."""
    variants: tuple[tuple[str, tuple[int, int], str, str, str], ...] = (
        ("phone", PHONE, "light", "zh-TW", "gold"),
        ("tablet", TABLET_LYING, "dark", "en-GB", "diamond"),
        ("desktop", DESKTOP, "light", "zh-CN", "silver"),
        ("tablet-standing", TABLET, "light", "en-GB", "standard"),
    )
    for name, size, theme, locale, tier in variants:
        async with scanner(browser, demo, size=size, theme=theme, locale=locale) as visitor:

            async def shoot(state: str, visitor: Visitor = visitor, name: str = name) -> None:
                kept(await visitor.page.screenshot(), folder / f"scanner-{name}-{state}.png")

            await scanner_states(visitor, demo, tier, shoot)


@asynccontextmanager
async def at_work(demo: Demo) -> AsyncIterator[None]:
    """The group is at work for a while before the block and in it."""
    work = asyncio.create_task(traffic(demo))
    try:
        await asyncio.wait([work], timeout=TRAFFIC_SECONDS)
        if work.done():
            work.result()  # a fault ends the scene
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])


async def traffic(demo: Demo) -> None:
    """What a group does: members show codes at every business, now more, now less; some are refused."""
    chance = random.Random(7)
    members, terminals = itertools.cycle(demo["members"]), demo["terminals"]
    async with httpx2.AsyncClient(base_url=demo["base_url"], timeout=30.0) as http:

        async def one(each: dict[str, Any]) -> None:
            bearer = {"authorization": f"Bearer {each['access_token']}"}
            codes = (await http.post("/v1/me/codes", json={"count": 1}, headers=bearer)).json().get("codes")
            if not codes:
                return
            till = chance.choice(terminals)
            legs = (
                [{"kind": "points", "points": chance.choice((100, 100, 200, 90_000))}] if chance.random() < 0.4 else []
            )
            body = {
                "code": codes[0]["digits"] if chance.random() < 0.97 else "9" * 18,
                "bill": {"reference": "POS-7", "amount_minor": chance.randrange(2_000, 60_000), "currency": "CNY"},
                "legs": legs,
            }
            headers = {"authorization": f"Bearer {till['api_key']}", "idempotency-key": f"shot-{time.time_ns()}"}
            await http.post("/v1/verify", json=body, headers=headers)

        began = time.monotonic()
        while True:
            started = time.monotonic()
            await one(next(members))
            pause = 1 / (5 + 3 * math.sin((started - began) / 9)) - (time.monotonic() - started)
            await asyncio.sleep(max(0.0, pause))


async def ops_page(browser: Browser, demo: Demo, folder: Path) -> None:
    """Operations while the group is at work: desk in light and dark, tablet and phone, with a place unfolded."""
    session = {"operations": {"credential": demo["admin_api_key"], "label": ""}}
    variants: tuple[tuple[str, tuple[int, int], str, str], ...] = (
        ("desktop", DESKTOP, "light", "zh-TW"),
        ("desktop-dark", DESKTOP, "dark", "en-GB"),
        ("tablet", TABLET, "light", "en-GB"),
        ("phone", PHONE, "dark", "zh-CN"),
    )
    async with at_work(demo):
        for name, size, theme, locale in variants:
            async with visiting(
                browser, demo["base_url"], size=size, theme=theme, locale=locale, session=session
            ) as visitor:
                await watching(visitor)
                kept(await visitor.page.screenshot(), folder / f"ops-{name}.png")
                await visitor.page.locator(".unfold").first.click()
                kept(await visitor.page.screenshot(full_page=True), folder / f"ops-{name}-whole.png")


async def watching(visitor: Visitor) -> None:
    """The operations page with its charts drawn, the last five minutes of them."""
    await visitor.open("/ops/")
    await visitor.wait(".chart .u-over")
    await visitor.page.locator(".choice button").first.click()
    await visitor.wait("[data-business]")
    await visitor.wait(".chip.good")


async def readme(browser: Browser, demo: Demo, folder: Path) -> None:
    """member.png, scanner.png and operations.png of the README."""
    phone: dict[str, Any] = {"size": PHONE, "device_scale_factor": 2, "locale": "en-GB"}
    async with visiting(browser, demo["base_url"], session=signed_in(demo, "diamond"), **phone) as visitor:
        await visitor.open("/app/")
        await shown_code(visitor)
        await visitor.wait(".chip.good")
        small(await visitor.page.screenshot(), folder / "member.png")
    async with scanner(browser, demo, size=TABLET_LYING, locale="en-GB") as visitor:
        await scan(visitor, demo, "diamond", "25800")
        small(await visitor.page.screenshot(), folder / "scanner.png")
    session = {"operations": {"credential": demo["admin_api_key"], "label": ""}}
    options: dict[str, Any] = {"size": DESKTOP, "locale": "en-GB", "session": session}
    async with at_work(demo), visiting(browser, demo["base_url"], **options) as visitor:
        await watching(visitor)
        small(await visitor.page.screenshot(), folder / "operations.png")


SCENES: dict[str, Scene] = {
    "home": home,
    "member": member_page,
    "member-others": member_others,
    "scanner": scanner_page,
    "ops": ops_page,
    "readme": readme,
}


async def main(folder: Path, names: list[str]) -> None:
    """Makes the pictures of these scenes, or of all."""
    demo = json.loads((Path(os.environ.get("TONG_HOME", "var")) / "demo.json").read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    async with browsing() as browser:
        for name in names or SCENES:
            await SCENES[name](browser, demo, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= SCENES.keys():
        raise SystemExit(f"usage: python -m tests.browser.screenshots FOLDER [{' | '.join(SCENES)}]…")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
