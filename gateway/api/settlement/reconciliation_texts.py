"""Texts of a reconciliation in three languages: the outcome of a bill, and unusual things about a list.

The words are those of the glossary of the pages: 核銷 for a redemption, 門店 for an outlet, 帳單 for a bill.
"""

from typing import Any, Final

from gateway.problems.kinds import LANGUAGES, Language
from redemption.settlement.reconciliation import Class, ListNote, Note

_Texts = tuple[str, str, str]

_CLASSES: Final[dict[Class, _Texts]] = {
    "matched": ("金額相符", "金额相符", "Both sides agree"),
    "different_amount": (
        "清單與帳本都有這張帳單，但金額不同",
        "清单与账本都有这张账单，但金额不同",
        "Both sides have this bill, with different amounts",
    ),
    "missing_here": (
        "清單有這張帳單，帳本在當天沒有：請核對單號，或確認這筆是否有核銷",
        "清单有这张账单，账本在当天没有：请核对单号，或确认这笔是否已核销",
        "The list has this bill, the ledger has not on that day: check its number, or whether it was redeemed at all",
    ),
    "missing_there": (
        "帳本有這筆核銷，清單沒有：請在收銀系統查這張帳單",
        "账本有这笔核销，清单没有：请在收银系统查这张账单",
        "The ledger has this redemption, the list has not: look the bill up in the till",
    ),
    "duplicate_in_list": (
        "清單重複列出這張帳單；只算一次時金額相符",
        "清单重复列出这张账单；只算一次时金额相符",
        "The list has this bill more than once; counted once, both sides agree",
    ),
    "other_day": (
        "清單寫明這張帳單屬於另一個營業日（{days}），沒有與當天比對；請與那一天對帳",
        "清单写明这张账单属于另一个营业日（{days}），没有与当天比对；请与那一天对账",
        "The list says that this bill is of another business day ({days}), so it was not compared; compare it with that"
        " day",
    ),
    "cancelled_here": (
        "當天核銷後又全部退回，清單可以沒有這張帳單",
        "当天核销后又全部退回，清单可以没有这张账单",
        "Redeemed and given back on the same day; the list need not have it",
    ),
}
_NOTES: Final[dict[Note, _Texts]] = {
    "several_redemptions": ("帳本有多筆核銷", "账本有多笔核销", "the ledger has several redemptions"),
    "several_rows": ("清單有多列", "清单有多行", "the list has several rows"),
    "other_reference_in_list": (
        "清單的單號與帳本不同，按核銷編號對上",
        "清单的单号与账本不同，按核销编号对上",
        "found by its redemption id; the list has another bill number",
    ),
    "no_reference_in_ledger": (
        "核銷時沒有輸入單號",
        "核销时没有输入单号",
        "redeemed without a bill number",
    ),
    "bill_amount_differs": ("帳單總額不同", "账单总额不同", "the amount of the whole bill differs"),
    "reference_shortened": (
        "單號看來被試算表縮短了",
        "单号看来被电子表格缩短了",
        "a spreadsheet seems to have shortened the bill number",
    ),
    "leading_zeros_lost": (
        "帳本有一張只多了開頭的 0 的單號：單號開頭的 0 看來被試算表去掉了",
        "账本有一张只多了开头的 0 的单号：单号开头的 0 看来被电子表格去掉了",
        "the ledger has a bill number that differs only by zeros in front: a spreadsheet seems to have dropped them",
    ),
    "row_of_another_day": (
        "清單的日期是另一個營業日",
        "清单的日期是另一个营业日",
        "the list gives another business day",
    ),
}
_LIST_NOTES: Final[dict[ListNote, _Texts]] = {
    "references_shortened": (
        "有 {count} 列的單號看來被試算表縮短（例如 2.02611E+11，或第 15 位之後都是 0），已無法還原，所以對不上。"
        "請從收銀系統重新匯出，不要先用試算表開啟；要編輯時，先把單號欄的格式設為「文字」。",
        "有 {count} 行的单号看来被电子表格缩短（例如 2.02611E+11，或第 15 位之后都是 0），已无法还原，所以对不上。"
        "请从收银系统重新导出，不要先用电子表格打开；要编辑时，先把单号列的格式设为“文本”。",
        "{count} rows have bill numbers that a spreadsheet seems to have shortened (like 2.02611E+11, or zeros after"
        " the 15th digit). The digits are lost, so nothing was matched. Export the list from the till again and send it"
        " without opening it in a spreadsheet, or make the column of bill numbers text first.",
    ),
    "leading_zeros_lost": (
        "有 {count} 列的單號與帳本只差開頭的 0，看來是試算表去掉的；系統不會自行配對。"
        "請重新匯出清單，並把單號欄的格式設為「文字」。",
        "有 {count} 行的单号与账本只差开头的 0，看来是电子表格去掉的；系统不会自行配对。"
        "请重新导出清单，并把单号列的格式设为“文本”。",
        "{count} rows have bill numbers that differ from the ledger's only by zeros in front, which a spreadsheet"
        " drops. Nothing was matched by that. Export the list again with the bill numbers as text.",
    ),
    "rows_of_another_day": (
        "有 {count} 列的日期不是 {day} 這個營業日。請確認上傳的清單與日期；深夜才打烊的門店可設定換日時間"
        "（cut_off_hour）。",
        "有 {count} 行的日期不是 {day} 这个营业日。请确认上传的清单与日期；深夜才打烊的门店可设置换日时间"
        "（cut_off_hour）。",
        "{count} rows are of another business day than {day}. Check that this is the list of that day; for an outlet"
        " that closes after midnight set its cut_off_hour.",
    ),
}
_ELSEWHERE: Final[_Texts] = (
    "同一單號在 {day} 有核銷（門店 {outlet}，{redemption_id}）",
    "同一单号在 {day} 有核销（门店 {outlet}，{redemption_id}）",
    "the same bill number was redeemed on {day} (outlet {outlet}, {redemption_id})",
)
_BETWEEN: Final[_Texts] = ("；", "；", "; ")


def explanation_of(item: dict[str, Any], language: Language) -> str:
    """Explain the class of a bill and its notes in one sentence. `item` as it is stored."""
    place = LANGUAGES.index(language)
    kind: Class = item["kind"]
    days = sorted({row["day"] for row in item["rows"] if row.get("day")})
    parts = [_CLASSES[kind][place].format(days=", ".join(days))]
    said = {"row_of_another_day"} if kind == "other_day" else set()
    parts += [_NOTES[note][place] for note in item["notes"] if note in _NOTES and note not in said]
    elsewhere = item["elsewhere"]
    if elsewhere is not None:
        parts.append(
            _ELSEWHERE[place].format(
                day=elsewhere["day"], outlet=elsewhere["outlet"] or "-", redemption_id=elsewhere["redemption_id"]
            )
        )
    return _BETWEEN[place].join(parts)


def list_note_text(note: ListNote, count: int, day: str, language: Language) -> str:
    """Explain a note about a list and how to correct the list."""
    return _LIST_NOTES[note][LANGUAGES.index(language)].format(count=count, day=day)
