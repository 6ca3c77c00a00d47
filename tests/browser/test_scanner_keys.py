"""Scanners that the page hears through an input method, another layout, Caps Lock or a slow link.

Key events say themselves when they came: the test's own machine plays no part.
"""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.support.api.client import TongClient
from tests.support.pages.till_page import ENTER, french, stroke, till_of
from tests.support.servers.stack import Stack

Strokes = list[dict[str, Any]]


def input_method(code: str) -> Strokes:
    return [stroke(character, heard="Process") for character in code]


def french_layout(code: str) -> Strokes:
    return [stroke(c, heard=french(c).upper() if c.isupper() else french(c)) for c in code]


def caps_lock(code: str) -> Strokes:
    return [stroke(character, heard=character.swapcase()) for character in code]


def slow_link(code: str) -> Strokes:
    """Bluetooth: now and then more than 50 ms between two characters, once a quarter of a second."""
    return [stroke(character, gap=260 if n == 90 else 90 if n % 7 == 0 else 3) for n, character in enumerate(code)]


def slow_throughout(code: str) -> Strokes:
    return [stroke(character, gap=80) for character in code]


def after_a_person(code: str) -> Strokes:
    """The cashier presses a figure of the bill a moment before."""
    return [stroke("5", gap=400), *(stroke(c, gap=120 if n == 0 else 2) for n, c in enumerate(code))]


@pytest.mark.parametrize("is_digits", [True, False], ids=["digits", "JWT"])
async def test_a_code_is_read_through_layouts_input_methods_and_slow_links(
    browser: Browser, stack: Stack, tong: TongClient, is_digits: bool
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong) as till:
        await till.bill("258")
        for typed in (input_method, french_layout, caps_lock, slow_link, slow_throughout, after_a_person):
            (made,) = await tong.codes(member)
            await till.strokes([*typed(made.digits if is_digits else made.code), {**ENTER, "gap": 20}])
            await till.see(".basket", "5,000")
            await till.press("返回")
            await till.see(".scan-target")
            wanted = "¥25.85" if typed is after_a_person else "¥2.58"
            await expect(till.page.get_by_test_id("bill"), typed.__name__).to_have_text(wanted)


async def test_a_slow_code_without_a_terminator_is_whole_and_a_late_enter_confirms_nothing(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong) as till:
        (made,) = await tong.codes(member)
        await till.strokes(slow_link(made.digits))
        await till.see(".basket", "5,000")
        await till.press("返回")
        (made,) = await tong.codes(member)
        # Carriage return and line feed: the second one belongs to the scan, whatever has the focus by then.
        await till.strokes([*(stroke(c) for c in made.code), ENTER])
        await till.see(".basket", "5,000")
        assert await tong.points(member) == 5_000
        assert await till.page.locator(".outcome").count() == 0


async def test_a_line_feed_behind_a_code_presses_no_button(browser: Browser, stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong) as till:
        (made,) = await tong.codes(member)
        await till.page.get_by_role("button", name="輸入 18 位數字").focus()
        await till.strokes([*(stroke(c) for c in made.code), ENTER, {**ENTER, "gap": 8}])
        await till.see(".basket", "5,000")
        await till.press("返回")
        await till.see(".scan-target")
        assert await till.page.locator(".digits-input").count() == 0, "the line feed pressed the button"


async def test_keys_without_a_place_that_an_input_method_swallows_say_what_to_switch_off(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    async with till_of(browser, stack, tong) as till:
        nothing = {"key": "Process", "code": "", "shiftKey": False, "gap": 2}
        await till.strokes([nothing] * 60 + [ENTER])
        await till.see(".notice.warn", "請關閉輸入法")
        assert await till.visitor.serious_findings() == []


async def test_a_key_held_down_and_a_number_typed_into_a_field_are_a_person_s(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    async with till_of(browser, stack, tong) as till:
        held = [{**stroke("7", gap=30), "repeat": True} for _ in range(40)]
        await till.strokes([stroke("7", gap=400), *held])
        await till.see("[data-testid=bill]", "¥0.07")
        reference = till.page.locator(".bill-entry input").first
        await reference.focus()
        number = "123456789012345678"
        await till.strokes([*(stroke(character, gap=110) for character in number), {**ENTER, "gap": 110}])
        await expect(reference).to_have_value(number)
        assert await till.page.locator(".notice.bad").count() == 0, "the bill's number was taken for a code"
