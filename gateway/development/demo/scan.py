"""The first steps of `tong demo`: a member's code, drawn and scanned, pays once with points, at the hotel's till."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gateway.development.demo.tour import (
    BENEFIT,
    CURRENCY,
    Means,
    Tour,
    bill,
    expect,
    fresh_key,
    money,
    points_leg,
    told,
)
from gateway.development.private_files import private_folder
from tokens.claims import CODE_LIFETIME_SECONDS, SLOT_SECONDS

POINTS: Final = 100
NEEDED: Final = Means(points=3_000, held=0, stored_minor=5_000, uses=1)
SYMBOLS: Final = ("QR", "Code 128")


async def is_ready(tour: Tour) -> list[str]:
    answer = await tour.call("GET", "/readyz")
    expect(answer.status == 200, f"/readyz answers {told(answer)}")
    return [tour.demo["base_url"]]


async def finds_a_member(tour: Tour) -> list[str]:
    """Find the first member with enough means, rather one who used no code a moment ago, perhaps in an earlier tour."""
    able = []
    for member in tour.demo["members"]:
        tour.member = member
        tour.opening = tour.means = await tour.own_means()
        if await _has_enough(tour):
            able.append((member, tour.means))
            if await _is_rested(tour):
                break
    else:
        expect(bool(able), "no member of the demo group has enough left; start anew in another TONG_HOME")
        tour.member, tour.means = able[0]
        tour.opening = tour.means
    me = await tour.ok("GET", "/v1/me", tour.member["access_token"])
    lots = ", ".join(f"{each['points']} of {each['issuer']}" for each in me["lots"])
    return [
        f"{me['display_name']} ({me['tier']}): {tour.means.points} points ({lots}), stored value "
        f"{money(tour.means.stored_minor)} {CURRENCY}, {BENEFIT} × {tour.means.uses}"
    ]


async def _has_enough(tour: Tour) -> bool:
    benefits = (await tour.ok("GET", "/v1/me/benefits", tour.member["access_token"]))["benefits"]
    used_up = any(
        each["benefit_id"] == BENEFIT and each["per_day"] is not None and each["used_today"] >= each["per_day"]
        for each in benefits
    )
    return not used_up and all(has >= needs for has, needs in zip(tour.means, NEEDED, strict=True))


async def _is_rested(tour: Tour) -> bool:
    """Return whether the member's next code is one of this moment: none of these seconds were used."""
    answer = await tour.call("POST", "/v1/me/codes", tour.member["access_token"], {})
    if answer.status != 200:
        return False
    ends = datetime.fromisoformat(answer.json()["codes"][0]["expires_at"]).timestamp()
    return ends <= time.time() + CODE_LIFETIME_SECONDS + SLOT_SECONDS


async def fetches_codes(tour: Tour) -> list[str]:
    tour.entries = await tour.codes(len(SYMBOLS))
    first = tour.entries[0]
    return [f"{len(tour.entries)} codes; the first, {len(first['code'])} characters, ends {first['expires_at']}"]


async def draws_them(tour: Tour) -> list[str]:
    from gateway.development.demo.symbols import draw  # noqa: PLC0415 - the drawing library is for the demo only

    private_folder(tour.folder)
    draw("QR", tour.entries[0]["code"], _picture(tour, "QR"))
    draw("Code 128", tour.entries[1]["digits"], _picture(tour, "Code 128"))
    return [f"{_picture(tour, 'QR')}, {_picture(tour, 'Code 128')}"]


async def scans_the_pictures(tour: Tour) -> list[str]:
    from gateway.development.demo.symbols import read  # noqa: PLC0415 - the same

    for symbol, wanted in (("QR", tour.entries[0]["code"]), ("Code 128", tour.entries[1]["digits"])):
        found = read(_picture(tour, symbol))
        expect([name for name, _ in found] == [symbol], f"the decoder finds {found} in the {symbol} picture")
        tour.scanned[symbol] = found[0][1]
        expect(tour.scanned[symbol] == wanted, f"the {symbol} picture reads {tour.scanned[symbol]!r}")
    return [f"the decoder reads the QR symbol and, from the Code 128, {tour.scanned['Code 128']}"]


async def pays_by_qr(tour: Tour) -> list[str]:
    line = await _pays(tour, "QR")
    return [line, *json.dumps(tour.sent["QR"].answer.json(), ensure_ascii=False, indent=2).splitlines()]


async def repeats_it(tour: Tour) -> list[str]:
    first = tour.sent["QR"]
    again = await tour.verify(first.business, first.body, first.key)
    expect(again.status == first.answer.status, f"the repeat answers {told(again)}")
    expect(again.body == first.answer.body, f"the repeat's bytes differ: {again.body!r}")
    expect(again.headers["Idempotency-Replayed"] == "true", "the repeat has no Idempotency-Replayed: true")
    await tour.unmoved()
    return [f"{again.status}, Idempotency-Replayed: true, the same {len(again.body)} bytes; nothing more was taken"]


async def tries_the_code_again(tour: Tour) -> list[str]:
    first, key = tour.sent["QR"], fresh_key()
    hints = []
    for language in ("zh-Hant", "en"):
        answer = await tour.verify(first.business, first.body, key, language)
        expect(answer.status == 409, f"the used code answers {told(answer)}")
        problem = answer.json()
        found = (problem["code"], problem["outcome"], problem["retry"])
        expect(found == ("code_used", "not_applied", "new_code"), f"the used code answers {told(answer)}")
        hints.append(problem["operator_hint"])
    await tour.unmoved()
    return ["409 code_used, not applied; the cashier reads: " + " / ".join(hints)]


async def pays_by_digits(tour: Tour) -> list[str]:
    return [await _pays(tour, "Code 128")]


async def looks_it_up(tour: Tour) -> list[str]:
    for symbol in SYMBOLS:
        sent = tour.sent[symbol]
        found = await tour.ok("GET", f"/v1/redemptions/{sent.redemption_id}", tour.till(sent.business))
        answered = sent.answer.json()
        progress = {"captured_points": POINTS, "refunded_points": 0}
        answered["legs"] = [{**leg, **progress} for leg in answered["legs"]]
        expect(found == answered, f"{sent.redemption_id} reads {found}")
    return ["both redemptions read as they were answered, with what became of them"]


async def reads_the_ledger(tour: Tour) -> list[str]:
    for symbol in SYMBOLS:
        await tour.moved(tour.sent[symbol].redemption_id, ("redeem",))
    sent = tour.sent["QR"]
    return [
        f"both are in PostgreSQL, each sums to zero, and they add up to /v1/me; {sent.redemption_id}:",
        *await tour.postings(sent.redemption_id),
    ]


async def _pays(tour: Tour, symbol: str) -> str:
    paid = await tour.scan(symbol, "hotel", code=tour.scanned[symbol], bill=bill(), legs=[points_leg(POINTS)])
    total, leg = paid["bill"], paid["legs"][0]
    expect(paid["status"] == "captured", f"the redemption is {paid['status']}")
    expect(sum(lot["points"] for lot in leg["lots"]) == POINTS, f"the lots are not {POINTS} points: {leg}")
    expect(total["payable_minor"] == total["amount_minor"] - leg["value_minor"], f"the bill does not add up: {total}")
    left = paid["balance"]["points"]
    expect(left == tour.means.points - POINTS, f"{left} points are left of {tour.means.points}")
    before, tour.means = tour.means, await tour.own_means()
    expect(tour.means == before.after(points=-POINTS), f"/v1/me tells {tour.means} after {before}")
    return _scan_line(paid, before, tour.means)


def _scan_line(paid: dict[str, Any], before: Means, after: Means) -> str:
    total = paid["bill"]
    return (
        f"201 {paid['status']}; to pay {money(total['payable_minor'])} of {money(total['amount_minor'])} "
        f"{total['currency']}; {before.told_to(after)}"
    )


def _picture(tour: Tour, symbol: str) -> Path:
    return tour.folder / (symbol.lower().replace(" ", "") + ".png")
