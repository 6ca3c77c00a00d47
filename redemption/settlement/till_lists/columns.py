"""The columns of a till's list, and what each may be called in English and Chinese."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from redemption.settlement.till_lists.values import folded

Column = Literal[
    "reference", "amount_minor", "amount", "date", "time", "outlet", "currency", "redemption_id", "bill_amount_minor"
]


def _titles(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS: Final[Mapping[Column, tuple[str, ...]]] = {
    "reference": _titles("""
        reference bill_reference receipt receipt_number 單號 单号 帳單號 账单号 帳單編號 账单编号 流水號 流水号
        小票號 小票号
    """),
    "amount_minor": _titles("amount_minor discount_minor 金額(分) 金额(分) 抵扣金額(分) 抵扣金额(分)"),
    "amount": _titles("""
        amount discount 金額 金额 抵扣金額 抵扣金额 核銷金額 核销金额 金額(元) 金额(元) 抵扣金額(元)
        抵扣金额(元)
    """),
    "date": _titles("date 日期 交易日期 核銷日期 核销日期"),
    "time": _titles("""
        time date_time datetime 時間 时间 交易時間 交易时间 核銷時間 核销时间 日期時間 日期时间
    """),
    "outlet": _titles("outlet outlet_id 門店 门店 門店編號 门店编号"),
    "currency": _titles("currency 幣別 币别 幣種 币种"),
    "redemption_id": _titles("redemption_id 核銷編號 核销编号 核銷單號 核销单号"),
    "bill_amount_minor": _titles("bill_amount_minor 帳單金額(分) 账单金额(分)"),
}
"""The columns and their possible headings. Spaces, case and full-width brackets make no difference."""
_NAMED: Final[Mapping[str, Column]] = {name: column for column, names in COLUMNS.items() for name in names}


def column_named(name: str) -> Column | None:
    """Return the column of a heading, None for an unknown one."""
    return _NAMED.get("_".join(folded(name).lower().split()))


def columns_of(names: Sequence[str]) -> list[Column | None] | tuple[Column, str]:
    """Return the column of each name of the header, or the column that is wrong and the reason."""
    columns = [column_named(name) for name in names]
    twice = next((column for column in columns if column is not None and columns.count(column) > 1), None)
    if twice is not None:
        return twice, "two columns have this meaning"
    if "reference" not in columns:
        return "reference", f"there is no such column; it may be called {', '.join(COLUMNS['reference'])}"
    if ("amount_minor" in columns) == ("amount" in columns):
        both = "both are there; leave one out" if "amount" in columns else "one of amount_minor and amount is needed"
        return "amount_minor", both
    return columns
