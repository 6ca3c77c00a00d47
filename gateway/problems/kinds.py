"""The type of a row of the table of problems, and the rows of settlement; the table is in
gateway/problems/documents.py."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, get_args

TYPE_BASE: Final = "https://tong.invalid/problems/"
"""`type` is an identifier, not an address (RFC 9457 §3.1.1); every kind is described at /docs. `.invalid`: RFC 2606."""

Retry = Literal["same_key", "new_key", "new_code", "never"]
Language = Literal["zh-Hant", "zh-Hans", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""The order of the languages wherever a text has one entry for each."""


Unit = Literal["points", "uses", "money", "leg", "seconds", "count"]
"""The unit of a refusal's figures; `leg`: whatever the leg that was refused is counted in."""


class Figures(NamedTuple):
    """The hint of a refusal that has figures: their unit, and by language a text with {asked} and {available}."""

    unit: Unit
    texts: dict[Language, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `hints` are what a cashier reads, by language; `figures` the same with numbers."""

    code: str
    status: int
    title: str
    retry: Retry
    hints: dict[Language, str] = field(repr=False)
    outcome: Literal["not_applied", "unknown"] = "not_applied"
    figures: Figures | None = field(default=None, repr=False)

    def hint(self, language: Language, asked: str | None = None, available: str | None = None) -> str:
        """Return the sentence for the cashier, with the figures where the refusal came with some."""
        if self.figures is None or available is None:
            return self.hints[language]
        return self.figures.texts[language].format(asked=asked, available=available)

    @property
    def type_uri(self) -> str:
        return TYPE_BASE + self.code.replace("_", "-")


def kind(
    code: str, status: int, title: str, retry: Retry, hant: str, hans: str, english: str, figures: Figures | None = None
) -> Kind:
    """Make a row: code, status, title, retry, the hint in the three languages, and the hint with figures."""
    return Kind(code, status, title, retry, {"zh-Hant": hant, "zh-Hans": hans, "en": english}, figures=figures)


def figures(unit: Unit, hant: str, hans: str, english: str) -> Figures:
    """Make the texts of a hint with figures."""
    return Figures(unit, {"zh-Hant": hant, "zh-Hans": hans, "en": english})


SETTLEMENT_KINDS: Final[tuple[Kind, ...]] = (
    kind("month_not_over", 409, "The month is not over", "never",
         "本月尚未結束，不能關帳", "本月尚未结束，不能关账", "The month is not over: it cannot be closed yet"),
    kind("earlier_month_open", 409, "An earlier month is open", "new_key",
         "請先將較早的結算月關帳", "请先将较早的结算月关账", "Close the earlier month first"),
    kind("period_not_closed", 409, "Period not closed", "new_key",
         "此結算月尚未關帳", "此结算月尚未关账", "This period is still open: close the month first"),
    kind("period_disputed", 409, "Period disputed", "new_key",
         "此結算月有爭議未解決", "此结算月有争议未解决", "Lines of this period are disputed: resolve that first"),
    kind("period_not_approved", 409, "Period not approved", "new_key",
         "雙方尚未都核准此結算月", "双方尚未都核准此结算月", "Both sides approve this period first"),
    kind("period_paid", 409, "Period paid before", "never",
         "此結算月已登記付款", "此结算月已登记付款", "This period was paid before"),
    kind("period_altered", 409, "Period altered", "never",
         "結算月內容與關帳時不符，請聯絡技術人員", "结算月内容与关账时不符，请联系技术人员",
         "The lines are not those it was closed with: call technical support"),
    kind("own_use", 409, "A business's own use", "never",
         "本業態自用，無需結算", "本业态自用，无需结算", "Own use of a business: nothing is owed"),
    kind("agreement_conflict", 409, "Conflicts with an agreement", "new_key",
         "與現有協議衝突，請檢查範圍", "与现有协议冲突，请检查范围",
         "Conflicts with another agreement: check the scope"),
    kind("already_disputed", 409, "Disputed already", "never",
         "此筆已有爭議處理中", "此笔已有争议处理中", "This line is disputed already"),
    kind("already_resolved", 409, "Resolved already", "never",
         "此爭議已解決", "此争议已解决", "This dispute was resolved before"),
    kind("too_many_redemptions", 409, "Too many redemptions", "new_key",
         "當日核銷筆數過多，請按門店分別上傳", "当日核销笔数过多，请按门店分别上传",
         "Too many on that day: send a list for each outlet"),
)  # fmt: skip
