"""`python -m tests.browser.screenshots FOLDER [SCENE …]`: pictures of the pages, from the demo that runs now.

Needs a running `make run` (its demo.json below TONG_HOME). Scenes make real redemptions of demo members. Pictures have
256 colours and are small enough to lie in the repository.
"""

import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from playwright.async_api import Browser

from tests.support.browser import DESKTOP, PHONE, TABLET, Visitor, browsing, symbols, visiting

Demo = dict[str, Any]
Scene = Callable[[Browser, Demo, Path], Awaitable[None]]
BILL = {
    "reference": "POS-7-20261122-0042",
    "amount_minor": 25_800,
    "currency": "CNY",
    "lines": [{"category": "dining", "amount_minor": 25_800}],
}


def kept(png: bytes, path: Path) -> None:
    """Writes the picture with a palette."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


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
    await at_till(demo, "mall", "/v1/accruals", {"member_id": member(demo, "silver")["member_id"]})
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


SCENES: dict[str, Scene] = {"home": home, "member": member_page, "member-others": member_others}


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
