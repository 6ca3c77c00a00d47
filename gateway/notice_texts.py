"""What a member reads about a movement, in the three languages: a title, and a sentence that explains it."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.problem_kinds import Language
from gateway.problems import grouped
from redemption.domain.currencies import decimals_of
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS

LANGUAGES: Final[tuple[Language, ...]] = ("zh-Hant", "zh-Hans", "en")

# By kind and reason: title and sentence, in the order of LANGUAGES. {what} is a list of what moved.
_TEXTS: Final[dict[tuple[str, str | None], tuple[tuple[str, str, str], tuple[str, str, str]]]] = {
    ("identify", None): (
        ("已出示會員碼", "已出示会员码", "Code shown"),
        ("此碼已用於確認會員身分，沒有扣除任何權益", "此码已用于确认会员身份，没有扣除任何权益",
         "The code was used to say who you are; nothing was taken"),
    ),
    ("redeem", None): (
        ("已使用", "已使用", "Used"),
        ("使用 {what}", "使用 {what}", "{what} used"),
    ),
    ("hold", None): (
        ("已預留", "已预留", "Set aside"),
        ("預留 {what}，結帳時才會扣除，未使用會自動退回", "预留 {what}，结账时才会扣除，未使用会自动退回",
         "{what} set aside; taken at check-out, given back by itself if not"),
    ),
    ("capture", None): (
        ("預留已使用", "预留已使用", "Set aside, now used"),
        ("從預留中使用 {what}", "从预留中使用 {what}", "{what} taken from what was set aside"),
    ),
    ("release", "voided"): (
        ("預留已取消", "预留已取消", "No longer set aside"),
        ("商家取消預留，退回 {what}", "商家取消预留，退回 {what}", "The business released it: {what} given back"),
    ),
    ("release", "expired"): (
        ("預留已到期", "预留已到期", "Time ran out"),
        ("預留時間已過，退回 {what}", "预留时间已过，退回 {what}", "The time to use it ran out: {what} given back"),
    ),
    ("refund", None): (
        ("已退還", "已退还", "Given back"),
        ("退還 {what}，回到原來的批次與到期日", "退还 {what}，回到原来的批次与到期日",
         "{what} given back, to the lots and expiry it came from"),
    ),
    ("reverse", "cancelled"): (
        ("交易已撤銷", "交易已撤销", "Undone"),
        ("此筆交易已撤銷，退回 {what}", "此笔交易已撤销，退回 {what}", "This was undone: {what} given back"),
    ),
    ("reverse", "accrual_reversed"): (
        ("回饋已收回", "回馈已收回", "Earned points taken back"),
        ("購買已取消，收回 {what}", "购买已取消，收回 {what}", "The purchase was undone: {what} taken back"),
    ),
    ("accrue", None): (
        ("獲得積分", "获得积分", "Earned"),
        ("消費獲得 {what}", "消费获得 {what}", "{what} earned by a purchase"),
    ),
    ("issue", None): (
        ("已存入", "已存入", "Added"),
        ("存入 {what}", "存入 {what}", "{what} added"),
    ),
    ("expire", None): (
        ("已到期", "已到期", "Expired"),
        ("{what} 已過有效期限", "{what} 已过有效期限", "{what} expired"),
    ),
    ("adjust", None): (
        ("調整", "调整", "Corrected"),
        ("更正 {what}", "更正 {what}", "{what} corrected"),
    ),
}  # fmt: skip
_POINTS: Final = ("{n} 積分", "{n} 积分", "{n} points")
_NOTHING: Final = ("無", "无", "nothing")
_BILL: Final = (
    "；帳單 {amount}，折抵 {discount}，實付 {payable}",
    "；账单 {amount}，抵扣 {discount}，实付 {payable}",
    "; bill {amount}, {discount} off, {payable} to pay",
)
_JOINT: Final = ("、", "、", ", ")


def title_of(kind: str, reason: str | None, language: Language) -> str:
    """A few words."""
    return _TEXTS[kind, reason][0][LANGUAGES.index(language)]


def explanation_of(
    kind: str,
    reason: str | None,
    moved: Mapping[str, int],
    bill: Mapping[str, Any] | None,
    benefit_names: Mapping[str, str],
    language: Language,
) -> str:
    """One sentence. `moved` are positive amounts by asset; `bill` with what came off it, where that is known."""
    index = LANGUAGES.index(language)
    what = _JOINT[index].join(_amount(asset, amount, benefit_names, index) for asset, amount in moved.items() if amount)
    sentence = _TEXTS[kind, reason][1][index].format(what=what or _NOTHING[index])
    if bill is not None and bill["payable_minor"] is not None and what:
        sentence += _BILL[index].format(
            amount=money(bill["amount_minor"], bill["currency"]),
            discount=money(bill["discount_minor"], bill["currency"]),
            payable=money(bill["payable_minor"], bill["currency"]),
        )
    return sentence


def money(amount_minor: int, currency: str) -> str:
    """Return `258.00 CNY`, `1.250 JOD`, `500 JPY`."""
    decimals = decimals_of(currency)
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{grouped(whole)}.{part:0{decimals}d} {currency}" if decimals else f"{grouped(whole)} {currency}"


def _amount(asset: str, amount: int, benefit_names: Mapping[str, str], index: int) -> str:
    if asset == POINTS:
        return _POINTS[index].format(n=grouped(amount))
    if asset.startswith(BENEFIT_PREFIX):
        benefit_id = asset.removeprefix(BENEFIT_PREFIX)
        return f"{benefit_names.get(benefit_id, benefit_id)} ×{amount}"
    return money(amount, asset)
