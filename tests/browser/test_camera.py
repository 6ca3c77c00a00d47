"""The moment that is the product, with everything real: a code on a phone's screen, a camera at the till that reads it,
and three pages that know of it a moment later.

The camera's film is a picture of what the member's page shows, in frames of JPEG; Chromium plays it in a loop.
"""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from PIL import Image, ImageOps
from playwright.async_api import Browser, Page, expect

from tests.support.api.client import TongClient
from tests.support.pages.browser import PHONE, TABLET, WAIT_MS, browsing, visiting
from tests.support.pages.till_page import Till, till_of
from tests.support.servers.stack import Stack

FRAME: Final = (1280, 720)
MARGIN: Final = 40
FRAMES: Final = 5
CODES: Final = 4
"""So many codes are tried: one lives for half a minute, which a slow machine may need to film it and to find it."""


LIT: Final = """() => {
    window.asked = []
    window.refuses = false
    const capabilities = MediaStreamTrack.prototype.getCapabilities
    MediaStreamTrack.prototype.getCapabilities = function () { return {...capabilities.call(this), torch: true} }
    MediaStreamTrack.prototype.applyConstraints = async function ({advanced}) {
        asked.push(advanced[0].torch)
        if (refuses) throw new OverconstrainedError('torch')
    }
}"""
"""No camera that Chromium makes up has a light: its tracks say that they have one and write down what is asked."""


class Film:
    """What the camera sees. A change counts from the next time that the camera is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shoot(Image.new("L", FRAME, 200))

    def show(self, png: bytes) -> None:
        """A screenshot, held into the picture as large as fits with a margin."""
        with Image.open(io.BytesIO(png)) as shot:
            held = ImageOps.pad(shot.convert("RGB"), (FRAME[0] - 2 * MARGIN, FRAME[1] - 2 * MARGIN), color="white")
        self.shoot(ImageOps.expand(held, MARGIN, "white"))

    def shoot(self, picture: Image.Image) -> None:
        frame = io.BytesIO()
        picture.convert("RGB").save(frame, "JPEG", quality=92)
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(frame.getvalue() * FRAMES)
        fresh.replace(self.path)  # a film that plays at the moment goes on as it was


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path / "film.mjpeg")


@pytest.fixture
async def with_camera(film: Film) -> AsyncIterator[Browser]:
    """A browser whose only camera plays the film."""
    async with browsing(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film.path}",
    ) as running:
        yield running


@asynccontextmanager
async def member_at_the_till(browser: Browser, stack: Stack, access_token: str) -> AsyncIterator[Page]:
    """The member's page with its code, told at once what happens."""
    session = {"member": {"credential": access_token, "label": ""}}
    async with visiting(browser, stack.base_url, size=PHONE, session=session, device_scale_factor=2) as visitor:
        await visitor.open("/app/")
        await visitor.wait(".bar .chip.good")
        yield visitor.page


async def looked_through(till: Till) -> str:
    """The camera whose picture is shown, once there is one."""
    found: str = await till.page.locator(".film video").evaluate(
        """async film => {
            while (!(film.readyState >= 2)) await new Promise(requestAnimationFrame)
            window.before = film.srcObject.getVideoTracks()[0]
            return before.getSettings().deviceId
        }"""
    )
    return found


async def until_looked_through(till: Till, camera: str) -> None:
    """Returns once the picture is this camera's."""
    await till.page.wait_for_function(
        """wanted => {
            const [track] = document.querySelector('.film video')?.srcObject?.getVideoTracks() ?? []
            return track?.readyState === 'live' && track.getSettings().deviceId === wanted
        }""",
        arg=camera,
    )


async def option_values(till: Till) -> list[str]:
    found: list[str] = await till.page.locator(".camera-choice option").evaluate_all(
        "all => all.map(each => each.value)"
    )
    return found


async def confirmed(till: Till, film: Film, page: Page, selector: str) -> None:
    """Holds what stands there before the camera and confirms the basket; again with the next code if one ran out."""
    for _ in range(CODES):
        film.show(await page.locator(selector).screenshot())
        await till.press("使用相機")
        await till.see(".basket, .code-entry .notice")
        if await till.page.locator(".basket").count():
            if await till.page.locator(".points .quick").count():
                await till.all_points()
            await till.page.locator(".confirm").click()
            await till.see(".outcome.good, .outcome.bad")
            if await till.page.locator(".outcome.good").count():
                return
            said = await till.page.locator(".outcome").inner_text()
            await till.press("重新掃碼")
        else:
            said = await till.page.locator(".code-entry .notice").inner_text()
        assert "此碼已失效，請掃 App 上的新碼" in said, said
    raise AssertionError(f"{CODES} codes ran out, each before the camera had read it")


async def test_a_code_on_the_phone_is_read_by_the_camera_and_all_three_pages_know(
    browser: Browser, with_camera: Browser, film: Film, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    operations = {"operations": {"credential": stack.demo["admin_api_key"], "label": ""}}
    async with (
        member_at_the_till(browser, stack, member.access_token) as phone,
        visiting(browser, stack.base_url, session=operations) as watch,
        till_of(with_camera, stack, tong, size=TABLET) as till,
    ):
        await watch.open("/ops/")
        await watch.wait(".tile")
        await till.bill("25800")
        await confirmed(till, film, phone, ".symbol")
        await till.see(".outcome.good", "核銷完成")
        await phone.locator(".happened", has_text="−5,000").wait_for()
        total = watch.page.locator(f"[data-business={till.terminal.business}] [data-total]")
        await expect(total).to_have_text("1", timeout=WAIT_MS)
        assert await tong.points(member) == 0


async def test_the_bars_below_the_code_are_read_by_the_camera_too(
    browser: Browser, with_camera: Browser, film: Film, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with (
        member_at_the_till(browser, stack, member.access_token) as phone,
        till_of(with_camera, stack, tong, size=PHONE) as till,
    ):
        await confirmed(till, film, phone, ".bars")
        await till.see(".outcome.good", "會員已核對")
        await phone.locator(".happened").wait_for()


async def test_of_two_cameras_one_is_chosen_and_looked_through_again_next_time(stack: Stack, tong: TongClient) -> None:
    async with (
        browsing("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream") as with_two,
        till_of(with_two, stack, tong, size=PHONE) as till,
    ):
        choice = till.page.get_by_role("combobox", name="相機")
        await till.press("使用相機")
        await expect(choice.locator("option")).to_have_count(2)
        first = await looked_through(till)
        assert await choice.input_value() == first, "the choice names another camera than the one that looks"
        second = next(each for each in await option_values(till) if each != first)
        await choice.select_option(second)
        await until_looked_through(till, second)
        assert await till.page.evaluate("before.readyState") == "ended", "the first camera is still on"
        assert await till.visitor.serious_findings() == []
        await till.press("關閉相機")
        await till.press("使用相機")
        await until_looked_through(till, second)
        await expect(choice).to_have_value(second)
        await till.press("關閉相機")
        await till.page.evaluate("localStorage.setItem('tong.scanner.camera', 'unplugged')")
        await till.press("使用相機")
        await until_looked_through(till, first)
        await expect(choice).to_have_value(first)


async def test_a_camera_with_a_light_offers_it_and_one_without_does_not(stack: Stack, tong: TongClient) -> None:
    async with (
        browsing("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as with_camera,
        till_of(with_camera, stack, tong, size=PHONE) as till,
    ):
        await till.press("使用相機")
        await looked_through(till)
        light = till.page.get_by_role("button", name="手電筒")
        await expect(light).to_have_count(0)
        await till.press("關閉相機")
        await till.page.evaluate(LIT)
        await till.press("使用相機")
        await expect(light).to_have_attribute("aria-pressed", "false")
        await light.click()
        await expect(light).to_have_attribute("aria-pressed", "true")
        await light.click()
        await expect(light).to_have_attribute("aria-pressed", "false")
        assert await till.page.evaluate("asked") == [True, False]
        await till.page.evaluate("refuses = true")
        await light.click()
        await till.page.wait_for_function("asked.length === 3")
        await expect(light).to_have_attribute("aria-pressed", "false")


async def test_a_camera_that_is_refused_says_so_and_the_scanner_still_works(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with (
        browsing("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny") as refusing,
        till_of(refusing, stack, tong) as till,
    ):
        await till.press("使用相機")
        await till.see(".camera .notice.warn", "無法使用相機")
        await till.scan(await tong.code(member))
        await till.see(".basket", "5,000")
