"""Texts of a movement for the member, in the three languages: a title, and a sentence that explains it."""

from collections.abc import Mapping
from typing import Final, Protocol

from gateway.problems.amounts import money, number
from gateway.problems.kinds import LANGUAGES, Language
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS

# By kind and reason: title and sentence, in the order of LANGUAGES. {what} is a list of what moved.
_TEXTS: Final[dict[tuple[str, str | None], tuple[tuple[str, str, str], tuple[str, str, str]]]] = {
    ("identify", None): (
        ("已出示會員碼", "已出示会员码", "Code shown"),
        (
            "會員碼只用於核對會員，未扣除任何項目",
            "会员码仅用于核对会员，未扣除任何项目",
            "The code was used to confirm your membership; nothing was used",
        ),
    ),
    ("redeem", None): (
        ("已使用", "已使用", "Used"),
        ("使用 {what}", "使用 {what}", "{what} used"),
    ),
    ("hold", None): (
        ("已預留", "已预留", "On hold"),
        (
            "預留 {what}，結帳時才會扣除，未使用會自動退回",
            "预留 {what}，结账时才会扣除，未使用会自动退回",
            "{what} on hold; used at check-out, otherwise released automatically",
        ),
    ),
    ("capture", None): (
        ("預留已結算", "预留已结算", "Hold captured"),
        ("從預留中使用 {what}", "从预留中使用 {what}", "{what} used from the hold"),
    ),
    ("release", "voided"): (
        ("預留已取消", "预留已取消", "Hold released"),
        (
            "商戶取消預留，退回 {what}",
            "商户取消预留，退回 {what}",
            "The business released the hold: {what} available again",
        ),
    ),
    ("release", "expired"): (
        ("預留已到期", "预留已到期", "Hold expired"),
        ("預留時間已過，退回 {what}", "预留时间已过，退回 {what}", "The hold expired: {what} available again"),
    ),
    ("refund", None): (
        ("已退回", "已退回", "Refunded"),
        ("退回 {what}，到期日不變", "退回 {what}，到期日不变", "{what} refunded, with the expiry date it had"),
    ),
    ("reverse", "cancelled"): (
        ("交易已沖正", "交易已冲正", "Reversed"),
        ("此筆交易已沖正，退回 {what}", "此笔交易已冲正，退回 {what}", "This redemption was reversed: {what} refunded"),
    ),
    ("reverse", "accrual_reversed"): (
        ("積分已收回", "积分已收回", "Earned points reversed"),
        ("消費已取消，收回 {what}", "消费已取消，收回 {what}", "The purchase was cancelled: {what} reversed"),
    ),
    ("accrue", None): (
        ("獲得積分", "获得积分", "Points earned"),
        ("消費獲得 {what}", "消费获得 {what}", "{what} earned by a purchase"),
    ),
    ("issue", None): (
        ("已發放", "已发放", "Added"),
        ("發放 {what}", "发放 {what}", "{what} added"),
    ),
    ("expire", None): (
        ("已到期", "已到期", "Expired"),
        ("{what} 已過有效期限", "{what} 已过有效期限", "{what} expired"),
    ),
    ("adjust", None): (
        ("調整", "调整", "Corrected"),
        ("更正 {what}", "更正 {what}", "{what} corrected"),
    ),
}
_POINTS: Final = ("{n} 積分", "{n} 积分", "{n} points")
_NOTHING: Final = ("無", "无", "nothing")
_BILL: Final = (
    "；帳單 {amount}，抵扣 {discount}，應付 {payable}",
    "；账单 {amount}，抵扣 {discount}，应付 {payable}",
    "; bill {amount}, discount {discount}, to pay {payable}",
)
_BILL_EXPECTED: Final = (
    "；帳單 {amount}，預計抵扣 {discount}，預計應付 {payable}",
    "；账单 {amount}，预计抵扣 {discount}，预计应付 {payable}",
    "; bill {amount}, expected discount {discount}, expected to pay {payable}",
)
"""Of a hold, which has taken nothing yet."""
_JOINT: Final = ("、", "、", ", ")


class BillAmounts(Protocol):
    """The amounts of a bill that a sentence names, minor units; None where a movement does not say them."""

    @property
    def amount_minor(self) -> int: ...
    @property
    def discount_minor(self) -> int | None: ...
    @property
    def payable_minor(self) -> int | None: ...
    @property
    def currency(self) -> str: ...


def title_of(kind: str, reason: str | None, language: Language) -> str:
    """Return the title of a movement: a few words."""
    return _TEXTS[kind, reason][0][LANGUAGES.index(language)]


def explanation_of(
    kind: str,
    reason: str | None,
    moved: Mapping[str, int],
    bill: BillAmounts | None,
    benefit_names: Mapping[str, str],
    language: Language,
) -> str:
    """Explain a movement in one sentence. `moved` are positive amounts by asset."""
    index = LANGUAGES.index(language)
    what = _JOINT[index].join(_amount(asset, amount, benefit_names, index) for asset, amount in moved.items() if amount)
    sentence = _TEXTS[kind, reason][1][index].format(what=what or _NOTHING[index])
    if bill is not None and bill.discount_minor is not None and bill.payable_minor is not None and what:
        texts = _BILL_EXPECTED if kind == "hold" else _BILL
        sentence += texts[index].format(
            amount=money(bill.amount_minor, bill.currency),
            discount=money(bill.discount_minor, bill.currency),
            payable=money(bill.payable_minor, bill.currency),
        )
    return sentence


def _amount(asset: str, amount: int, benefit_names: Mapping[str, str], index: int) -> str:
    if asset == POINTS:
        return _POINTS[index].format(n=number(amount))
    if asset.startswith(BENEFIT_PREFIX):
        benefit_id = asset.removeprefix(BENEFIT_PREFIX)
        return f"{benefit_names.get(benefit_id, benefit_id)} ×{amount}"
    return money(amount, asset)
