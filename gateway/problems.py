"""Every error of every path as an RFC 9457 problem document, from one closed table.

    Problem            raised where a request cannot be answered as asked; carries its kind and what is special to it

A kind says the status, whether anything can have been applied (`outcome`), what the caller may do (`retry`) and what
the person at the till reads (`operator_hint`, after Accept-Language). Values of callers never stand in a title or hint.
"""

from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.problem_kinds import SETTLEMENT_KINDS, Kind, Language
from gateway.problem_kinds import kind as _kind
from redemption.domain.outcomes import Outcome, Refusal

CONTENT_TYPE: Final = b"application/problem+json"
RETRY_AFTER_SECONDS: Final = 1


_PROGRAM = (
    "系統設定有誤，請聯絡技術人員",
    "系统设置有误，请联系技术人员",
    "Till set-up problem: call technical support",
)
_KEY = (
    "此收銀機未獲授權，請聯絡主管",
    "此收银机未获授权，请联系主管",
    "This till is not authorised: call a supervisor",
)
_BUSY = ("系統繁忙，請稍候再試同一筆", "系统繁忙，请稍候再试同一笔", "Busy: wait a moment and try the same one again")
_FRESH = ("請會員重新整理代碼後再掃", "请会员刷新二维码后再扫", "Ask the member for a fresh code and scan again")

KINDS: Final[dict[str, Kind]] = {
    kind.code: kind
    for kind in (
        _kind("body_too_large", 413, "Body too large", "never", *_PROGRAM),
        _kind("unsupported_media_type", 415, "Body is not JSON", "never", *_PROGRAM),
        _kind("malformed", 400, "Malformed request", "never", *_PROGRAM),
        _kind("idempotency_key_missing", 400, "Idempotency-Key missing or malformed", "new_key", *_PROGRAM),
        _kind("unauthenticated", 401, "Not authenticated", "never", *_KEY),
        _kind("terminal_revoked", 401, "Key revoked", "never", *_KEY),
        _kind("forbidden", 403, "Not allowed", "never", *_KEY),
        _kind("not_found", 404, "Not found", "never", "查無此紀錄", "查无此记录", "There is no such record"),
        _kind("method_not_allowed", 405, "Method not allowed", "never", *_PROGRAM),
        _kind("rate_limited", 429, "Too many requests", "same_key", *_BUSY),
        _kind("overloaded", 503, "Overloaded", "same_key", *_BUSY),
        _kind("unavailable", 503, "Unavailable", "same_key", *_BUSY),
        _kind("idempotency_key_reused", 422, "Key already used for another request", "new_key", *_PROGRAM),
        _kind("cancelled", 409, "Cancelled before", "never",
              "此筆已取消，請重新開始", "此笔已取消，请重新开始", "This one was cancelled: start again"),
        _kind("code_malformed", 409, "Not a member code", "new_code",
              "這不是會員碼，請掃會員的動態碼", "这不是会员码，请扫会员的动态码", "Not a member code: scan the member's live code"),
        _kind("code_forged", 409, "Code not genuine", "new_code",
              "代碼無效，請會員打開應用程式重新出示", "代码无效，请会员打开应用重新出示", "Not genuine: ask for the code in the member's app"),
        _kind("code_expired", 409, "Code expired", "new_code", *_FRESH),
        _kind("code_used", 409, "Code already used", "new_code", *_FRESH),
        _kind("code_revoked", 409, "Code revoked", "new_code", *_FRESH),
        _kind("member_blocked", 409, "Membership blocked", "never",
              "此會員帳戶已停用，請洽客服", "此会员账户已停用，请联系客服", "Membership is blocked: refer to member services"),
        _kind("possible_duplicate", 409, "Possibly a duplicate", "new_key",
              "剛才已有相同一筆，請先確認", "刚才已有相同一笔，请先确认", "The same was taken a moment ago: check first"),
        _kind("leg_not_allowed_here", 409, "Not accepted here", "new_key",
              "此處不能使用這項權益", "此处不能使用这项权益", "This cannot be used here"),
        _kind("benefit_unknown", 409, "No such benefit", "new_key",
              "查無此權益，請重新選擇", "查无此权益，请重新选择", "No such benefit: choose another"),
        _kind("benefit_not_now", 409, "Not at this time", "new_key",
              "此權益現在不能使用", "此权益现在不能使用", "This benefit cannot be used at this time"),
        _kind("benefit_exhausted", 409, "No uses left", "new_key",
              "此權益已用完", "此权益已用完", "No uses of this benefit are left"),
        _kind("tier_too_low", 409, "Level too low", "new_key",
              "會員等級未達使用條件", "会员等级未达使用条件", "The member's level is too low for this benefit"),
        _kind("bill_below_minimum", 409, "Bill below the minimum", "new_key",
              "未達最低消費金額", "未达最低消费金额", "The bill is below the minimum for this benefit"),
        _kind("not_stackable", 409, "Cannot be combined", "new_key",
              "這些優惠不能同時使用，請擇一", "这些优惠不能同时使用，请择一", "These cannot be combined: choose one"),
        _kind("points_below_minimum", 409, "Below the minimum of points", "new_key",
              "積分未達最低使用量", "积分未达最低使用量", "Fewer points than the minimum: use more or none"),
        _kind("points_insufficient", 409, "Not enough points", "new_key",
              "請改用較少積分", "请改用较少积分", "Use fewer points"),
        _kind("stored_value_insufficient", 409, "Not enough stored value", "new_key",
              "儲值餘額不足，請減少金額", "储值余额不足，请减少金额", "Not enough stored value: take less"),
        _kind("exceeds_bill", 409, "More than the bill", "new_key",
              "抵扣超過帳單金額，請減少", "抵扣超过账单金额，请减少", "More than the bill: take off less"),
        _kind("hold_expired", 410, "Hold expired", "new_code",
              "預留已過期，請重新掃碼", "预留已过期，请重新扫码", "The hold has expired: scan again"),
        _kind("already_captured", 409, "Already captured", "never",
              "此筆已請款", "此笔已请款", "This hold was captured before"),
        _kind("already_voided", 409, "Already voided", "never",
              "此筆已取消預留", "此笔已取消预留", "This hold was released before"),
        _kind("already_refunded", 409, "Already refunded", "never",
              "此筆已全數退還", "此笔已全数退还", "All of this was given back before"),
        _kind("exceeds_hold", 409, "More than the hold", "new_key",
              "超過預留額度，請減少", "超过预留额度，请减少", "More than was held: capture less"),
        _kind("exceeds_redemption", 409, "More than was taken", "new_key",
              "超過可退額度，請減少", "超过可退额度，请减少", "More than can be given back: refund less"),
        _kind("window_closed", 410, "Too late", "never",
              "已超過可退期限，請洽客服", "已超过可退期限，请联系客服", "Too late to undo: refer to member services"),
        _kind("devices_exhausted", 409, "Too many devices", "never",
              "已達裝置數上限，請先移除一部", "已达设备数上限，请先移除一部", "The limit of devices is reached: remove one first"),
        *SETTLEMENT_KINDS,
    )
}  # fmt: skip
"""Kinds by code, in the contract's order."""

KIND_OF_OUTCOME: Final[dict[Outcome, Kind]] = {
    outcome: KINDS[outcome.name.lower()] for outcome in Outcome if outcome.name.lower() in KINDS
}


class Problem(Exception):
    """A request that is not answered as asked. `extensions` become members of the document beside the fixed ones."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        unknown: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        retry_after: int = RETRY_AFTER_SECONDS,
        **extensions: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.kind = KINDS[code]
        self.detail = detail
        self.unknown = unknown
        self.headers = headers
        self.extensions = extensions
        if code in ("overloaded", "unavailable", "rate_limited"):
            self.headers += ((b"retry-after", str(retry_after).encode()),)

    def body(self, accept_language: str | None) -> bytes:
        """The document, JSON in UTF-8."""
        kind = self.kind
        return orjson.dumps(
            {
                "type": kind.type_uri,
                "title": kind.title,
                "status": kind.status,
                "code": kind.code,
                "outcome": "unknown" if self.unknown else kind.outcome,
                "retry": kind.retry,
                "detail": self.detail,
                "operator_hint": kind.hints[language_of(accept_language)],
                **self.extensions,
            }
        )


def malformed(reason: str, place: str | None = None) -> Problem:
    """A request that cannot be read: where (`legs[0].points`, `header Idempotency-Key`) and why."""
    if place is None:
        return Problem("malformed", reason)
    return Problem("malformed", f"{place}: {reason}", errors=[{"field": place, "reason": reason}])


def refused(refusal: Refusal, *, retry_after: int = RETRY_AFTER_SECONDS) -> Problem:
    """The problem that tells a till why nothing was applied. `retry_after` is for one of rates, seconds."""
    extensions: dict[str, Any] = {}
    if refusal.outcome is Outcome.RATE_LIMITED:
        whose = _RATE_SUBJECTS[refusal.asked - 1]
        detail = f"Too many calls of this {whose} in a few seconds"
        return Problem("rate_limited", detail, retry_after=max(refusal.available, retry_after), scope=whose)
    if refusal.leg is not None:
        extensions["leg"] = refusal.leg
    if refusal.asked >= 0:
        extensions["asked"] = refusal.asked
    if refusal.available >= 0:
        extensions["available"] = refusal.available
    headers = ((b"idempotency-replayed", b"true"),) if refusal.replayed else ()
    kind = KIND_OF_OUTCOME[refusal.outcome]
    if refusal.outcome is Outcome.UNAVAILABLE and refusal.replayed:
        # The key was used before, or may have been: a frozen bucket does not tell whether its request was applied.
        return Problem(kind.code, "This part of the members is frozen until its data is restored", unknown=True)
    detail = refusal.detail or _detail(refusal)
    return Problem(kind.code, detail, headers=headers, **extensions)


_RATE_SUBJECTS: Final = ("terminal", "outlet", "member", "terminal's guesses of digits")
"""Whose rate functions/redeem.lua found exceeded, by its number."""


def grouped(number: int) -> str:
    """A number as people read it: 2 000."""
    return f"{number:,}".replace(",", " ")


_DETAILS: Final[dict[Outcome, str]] = {
    Outcome.UNAVAILABLE: "This part of the members is frozen until its data is restored; nothing was applied",
    Outcome.IDEMPOTENCY_KEY_REUSED: "This Idempotency-Key was used by this terminal for a request with another body",
    Outcome.CANCELLED: "This key was cancelled; it can never be applied",
    Outcome.CODE_EXPIRED: "The code is no longer valid; the member's app shows a fresh one",
    Outcome.CODE_USED: "The code was used before; every code works once",
    Outcome.CODE_REVOKED: "The member's codes of that time were revoked",
    Outcome.MEMBER_BLOCKED: "The membership is blocked",
    Outcome.POSSIBLE_DUPLICATE: "The same basket was taken from this member here within the last minute; confirm_duplicate lets it through",
    Outcome.BENEFIT_EXHAUSTED: "{asked} uses asked, {available} left",
    Outcome.TIER_TOO_LOW: "The member's level does not have this benefit",
    Outcome.STORED_VALUE_INSUFFICIENT: "{asked} minor units asked, {available} available",
    Outcome.HOLD_EXPIRED: "The hold's time ran out; what it held was released",
    Outcome.ALREADY_CAPTURED: "The hold was captured before; what was captured can be refunded",
    Outcome.ALREADY_VOIDED: "The hold was released before",
    Outcome.ALREADY_REFUNDED: "All of it was given back before",
    Outcome.EXCEEDS_HOLD: "{asked} asked, {available} held",
    Outcome.EXCEEDS_REDEMPTION: "{asked} asked, {available} can still be given back",
    Outcome.WINDOW_CLOSED: "The time in which this could be undone is over",
    Outcome.LEG_NOT_ALLOWED_HERE: "This business does not take this instrument",
    Outcome.POINTS_BELOW_MINIMUM: "{asked} points asked, the minimum here is {available}",
    Outcome.POINTS_INSUFFICIENT: "{asked} points asked, {available} available",
    Outcome.EXCEEDS_BILL: "{asked} would come off a bill of {available} minor units",
}


def _detail(refusal: Refusal) -> str:
    if refusal.asked < 0 and "{asked}" in _DETAILS.get(refusal.outcome, ""):
        return KIND_OF_OUTCOME[refusal.outcome].title
    template = _DETAILS.get(refusal.outcome, KIND_OF_OUTCOME[refusal.outcome].title)
    return template.format(asked=grouped(refusal.asked), available=grouped(refusal.available))


@lru_cache(maxsize=256)
def language_of(accept_language: str | None) -> Language:
    """The best of the three languages for an Accept-Language header (RFC 9110 §12.5.4); zh-Hant when it says nothing."""
    if not accept_language:
        return "zh-Hant"
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language[:200].split(",")[:16]):
        name, _, parameter = part.strip().lower().partition(";")
        quality = 1.0
        if parameter.strip().startswith("q="):
            try:
                quality = float(parameter.strip()[2:])
            except ValueError:
                continue
        if quality > 0:
            ranked.append((-quality, position, name.strip()))
    for _, _, name in sorted(ranked):
        if name == "*" or name.startswith(("zh-hant", "zh-tw", "zh-hk", "zh-mo")):
            return "zh-Hant"
        if name == "zh" or name.startswith("zh-"):
            return "zh-Hans"
        if name == "en" or name.startswith("en-"):
            return "en"
    return "en"
