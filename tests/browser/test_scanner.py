"""The scanner page in a real browser, on a real stack: wedge, digits, and every way a call can go wrong.

The camera has a browser of its own: test_camera.py.
"""

import json
import time

import pytest
from playwright.async_api import Browser, Route, expect

from tests.support.api.client import TongClient
from tests.support.ledger.oracle import until_drained
from tests.support.pages.browser import DESKTOP, PHONE, TABLET
from tests.support.pages.till_page import till_of
from tests.support.servers.stack import Member, Stack, Terminal
from tokens import base64url
from tokens.offline import step_at, write_offline

POINTS = 50_000


async def code_of_a_device(tong: TongClient, member: Member) -> str:
    """What a device of this member, enrolled just now, shows without network."""
    headers = {"authorization": f"Bearer {member.access_token}"}
    answer = await tong.http.post("/v1/me/devices", json={"name": "手機"}, headers=headers)
    assert answer.status_code == 201, answer.text
    device = answer.json()
    key = base64url.decode(device["key"])
    assert key is not None
    return write_offline(device["code_prefix"], key, step_at(time.time()))


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
async def test_a_wedge_is_read_whatever_has_the_focus_and_one_tap_takes_the_basket(
    browser: Browser, stack: Stack, tong: TongClient, end: str | None
) -> None:
    member = await stack.member(("hotel", 5_000, 2))
    async with till_of(browser, stack, tong) as till:
        await till.bill("25800")
        await till.see("[data-testid=bill]", "258.00")
        await till.page.locator(".bill-entry input").first.fill("TABLE-7")
        code = await tong.code(member)
        await till.scan(code, end=end)
        await till.see(".basket", "5,000")
        assert await till.page.locator("[data-testid=payable]").inner_text() == "¥258.00"
        await till.all_points()
        await till.see("[data-testid=payable]", "¥208.00")
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await till.page.locator("[data-testid=charge]").inner_text() == "¥208.00"
        assert await tong.points(member) == 0
        assert await till.journal() == [], "a decided attempt is kept in the browser"
        await till.see(".beside .entry", "¥258.00")
        await till.page.locator(".beside .entry").first.click()
        await till.see(".sheet", "TABLE-7")
        await till.page.keyboard.press("Escape")
        assert till.terminal.api_key not in json.dumps(await till.page.evaluate("({...localStorage})"))
        await till.press("下一位")
        await till.see(".scan-target")
        await till.scan(code)
        await till.see(".notice.bad", "此碼已失效，請掃 App 上的新碼")


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
        await till.press("核對會員")
        await till.see(".outcome.good", "會員已核對")
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
        await till.see(".outcome.unknown .button.quiet:enabled", "取消這筆交易")
        await till.press("取消這筆交易")
        await till.see(".outcome", "已取消")
        await till.see(".outcome-hint", "全部退回")
        await till.page.unroute_all(behavior="wait")
        assert await tong.points(member) == POINTS
        assert await redemptions_of(stack, till.terminal) == ["redeem", "reverse"]
        assert await till.journal() == []


async def test_a_hold_is_captured_in_part_from_the_list_and_the_rest_is_released(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", 3_000, 2))
    async with till_of(browser, stack, tong, size=TABLET) as till:
        await till.basket(member, "88800")
        await till.all_points()
        await till.press("預留")
        await till.press("確認預留")
        await till.see(".outcome.held", "已預留")
        await till.press("下一位")
        await till.page.locator(".last-scans").click()
        await till.page.locator(".sheet .entry").first.click()
        await till.see(".sheet .offer")
        await till.page.locator(".sheet .offer input").fill("1000")
        await till.press("確認扣除")
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
        await till.see(".outcome.bad", "核銷失敗")
        assert await tong.points(member) == POINTS - 10_000
        await till.press("確認是另一筆，繼續")
        await till.see(".outcome.good", "核銷完成")
        assert await tong.points(member) == POINTS - 20_000


async def test_a_benefit_for_a_category_is_offered_once_the_bill_is_told_to_be_of_it(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(benefits={"dining-80": 2})
    async with till_of(browser, stack, tong, size=TABLET) as till:
        await till.bill("10000")
        await till.scan(await tong.code(member))
        await till.see(".others", "1 項目前不能使用")
        assert await till.page.locator("[data-testid=payable]").inner_text() == "¥100.00"
        await till.press("餐飲")
        await till.see("[data-testid=payable]", "¥80.00")
        assert await till.visitor.serious_findings() == []
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        assert await till.page.locator("[data-testid=charge]").inner_text() == "¥80.00"


async def test_a_bill_is_split_by_category_with_the_keyboard_alone_and_never_beyond_itself(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(benefits={"dining-80": 2})
    async with till_of(browser, stack, tong, size=PHONE, locale="en-GB") as till:
        await till.bill("10000")
        await till.page.get_by_role("button", name="Dining").focus()
        await till.page.keyboard.press("Space")
        amount = till.page.get_by_role("textbox", name="Dining")
        await expect(amount).to_have_value("¥100.00")
        await amount.fill("999999")
        await expect(amount).to_have_value("¥100.00")
        await amount.fill("6000")
        await expect(amount).to_have_value("¥60.00")
        await till.see(".bill-parts", "Anything else¥40.00")
        assert await till.visitor.serious_findings() == []
        await till.scan(await tong.code(member))
        await till.see("[data-testid=payable]", "¥88.00")
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good")
        await till.press("Add points for this purchase")
        await till.see(".outcome", "points earned")
        await till.press("Next customer")
        await till.see(".scan-target")
        assert await till.page.locator(".bill-parts").count() == 0


async def test_a_code_that_a_device_made_without_network_is_taken_once(
    browser: Browser, stack: Stack, tong: TongClient
) -> None:
    member = await stack.member(("hotel", POINTS, 2))
    code = await code_of_a_device(tong, member)
    async with till_of(browser, stack, tong) as till:
        await till.bill("10000")
        await till.scan(code, end=None)
        await till.see(".basket")
        await till.all_points()
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good", "核銷完成")
        await till.press("下一位")
        await till.bill("10000")
        await till.scan(code, end=None)
        await till.see(".notice.bad", "此碼已失效，請掃 App 上的新碼")
        assert await tong.points(member) == POINTS - 10_000
        assert await redemptions_of(stack, till.terminal) == ["redeem"]


@pytest.mark.parametrize(
    ("locale", "size", "words"),
    [
        ("en-GB", DESKTOP, "Scan the member's code"),
        ("zh-CN", TABLET, "请扫描会员码"),
        ("zh-TW", PHONE, "請掃描會員碼"),
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
        await till.basket(member, "10000")
        await till.all_points()
        await good()
        await till.page.locator(".confirm").click()
        await till.see(".outcome.good")
        await good()
