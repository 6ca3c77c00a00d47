"""Every error of every path as an RFC 9457 problem document, from one closed table.

    Problem            raised where a request cannot be answered as asked; carries its kind and what is special to it

A kind says the status, whether anything can have been applied (`outcome`), what the caller may do (`retry`) and what
the person at the till reads (`operator_hint`, after Accept-Language), with what was asked and what there is where the
refusal has such figures. Texts of callers never stand in a title or hint. `detail` is for logs and developers, in English.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.problems.amounts import money, number
from gateway.problems.kinds import SETTLEMENT_KINDS, Kind, Language, Unit
from gateway.problems.kinds import figures as _figures
from gateway.problems.kinds import kind as _kind
from redemption.domain.commands import BenefitLeg, Leg, PointsLeg
from redemption.domain.limits import RATE_WINDOW_SECONDS
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
_FRESH = (
    "此碼已失效，請掃 App 上的新碼",
    "该码已失效，请扫最新会员码",
    "This code is no longer valid: scan the new one in the member's app",
)

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
        _kind("rate_limited", 429, "Too many requests", "same_key", *_BUSY, _figures(
            "seconds",
            "系統繁忙，請 {available} 秒後再試同一筆", "系统繁忙，请 {available} 秒后再试同一笔",
            "Busy: try the same one again in {available} s")),
        _kind("overloaded", 503, "Overloaded", "same_key", *_BUSY),
        _kind("unavailable", 503, "Unavailable", "same_key", *_BUSY),
        _kind("idempotency_key_reused", 422, "Key already used for another request", "new_key", *_PROGRAM),
        _kind("cancelled", 409, "Cancelled before", "never",
              "此筆已取消，請重新開始", "此笔已取消，请重新开始", "This one was cancelled: start again"),
        _kind("code_malformed", 409, "Not a member code", "new_code",
              "這不是會員碼，請掃描 App 上的會員碼", "这不是会员码，请扫描会员出示的会员码",
              "Not a member code: scan the code in the member's app"),
        _kind("code_forged", 409, "Code not genuine", "new_code",
              "會員碼無效，請會員開啟 App 重新出示", "会员码无效，请会员打开 App 重新出示",
              "Not genuine: ask for the code in the member's app"),
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
              "此權益已用完", "此权益已用完", "No uses of this benefit are left", _figures(
              "uses",
              "權益次數不足：要用 {asked} 次，可用 {available} 次", "权益次数不足：要用 {asked} 次，可用 {available} 次",
              "Not enough uses: {asked} asked, {available} available")),
        _kind("tier_too_low", 409, "Level too low", "new_key",
              "會員等級未達使用條件", "会员等级未达使用条件", "The member's level is too low for this benefit"),
        _kind("bill_below_minimum", 409, "Bill below the minimum", "new_key",
              "未達最低消費金額", "未达最低消费金额", "The bill is below the minimum for this benefit", _figures(
              "money",
              "未達最低消費：適用金額 {asked}，需滿 {available}", "未达最低消费：适用金额 {asked}，需满 {available}",
              "Below the minimum spend: {asked} counts, {available} needed")),
        _kind("not_stackable", 409, "Cannot be combined", "new_key",
              "這些優惠不能同時使用，請擇一", "这些优惠不能同时使用，请择一", "These cannot be combined: choose one"),
        _kind("points_below_minimum", 409, "Below the minimum of points", "new_key",
              "積分未達最低使用量", "积分未达最低使用量", "Fewer points than the minimum: use more or none", _figures(
              "points",
              "積分未達最低使用量：要用 {asked}，最少 {available}", "积分未达最低使用量：要用 {asked}，最少 {available}",
              "Fewer points than the minimum: {asked} asked, at least {available}")),
        _kind("points_insufficient", 409, "Not enough points", "new_key",
              "積分不足，請減少", "积分不足，请减少", "Not enough points: use fewer", _figures(
              "points",
              "積分不足：要用 {asked}，可用 {available}", "积分不足：要用 {asked}，可用 {available}",
              "Not enough points: {asked} asked, {available} available")),
        _kind("stored_value_insufficient", 409, "Not enough stored value", "new_key",
              "儲值餘額不足，請減少金額", "储值余额不足，请减少金额", "Not enough stored value: use less", _figures(
              "money",
              "儲值餘額不足：要用 {asked}，可用 {available}", "储值余额不足：要用 {asked}，可用 {available}",
              "Not enough stored value: {asked} asked, {available} available")),
        _kind("exceeds_bill", 409, "More than the bill", "new_key",
              "抵扣超過帳單金額，請減少", "抵扣超过账单金额，请减少", "More than the bill: reduce the discount", _figures(
              "money",
              "抵扣超過可抵金額：要抵 {asked}，可抵 {available}", "抵扣超过可抵金额：要抵 {asked}，可抵 {available}",
              "More than the bill allows: {asked} asked, {available} left to discount")),
        _kind("earning_limit_reached", 409, "Earns more than allowed", "new_key",
              "超過積分發放上限，請聯絡主管", "超过积分发放上限，请联系主管", "More points than allowed: call a supervisor",
              _figures(
              "points",
              "超過積分發放上限：本筆 {asked}，尚可 {available}。請聯絡主管", "超过积分发放上限：本笔 {asked}，还可 {available}。请联系主管",
              "Over the earning limit: {asked} asked, {available} allowed. Call a supervisor")),
        _kind("hold_expired", 410, "Hold expired", "new_code",
              "預留已過期，請重新掃碼", "预留已过期，请重新扫码", "The hold has expired: scan again"),
        _kind("already_captured", 409, "Already captured", "never",
              "此筆已確認扣除", "此笔已确认扣除", "This hold was captured before"),
        _kind("already_voided", 409, "Already voided", "never",
              "此筆已取消預留", "此笔已取消预留", "This hold was voided before"),
        _kind("already_refunded", 409, "Already refunded", "never",
              "此筆已全數退回", "此笔已全部退回", "All of this was refunded before"),
        _kind("exceeds_hold", 409, "More than the hold", "new_key",
              "超過預留額度，請減少", "超过预留额度，请减少", "More than was held: capture less", _figures(
              "leg",
              "超過預留額度：要扣 {asked}，預留 {available}", "超过预留额度：要扣 {asked}，预留 {available}",
              "More than was held: {asked} asked, {available} held")),
        _kind("exceeds_redemption", 409, "More than was taken", "new_key",
              "超過可退回額度，請減少", "超过可退回额度，请减少", "More than can be refunded: refund less", _figures(
              "leg",
              "超過可退回額度：要退 {asked}，可退 {available}", "超过可退回额度：要退 {asked}，可退 {available}",
              "More than can be refunded: {asked} asked, {available} left to refund")),
        _kind("window_closed", 410, "Too late", "never",
              "已超過可退回期限，請洽客服", "已超过可退回期限，请联系客服", "Too late to refund or cancel: refer to member services"),
        _kind("devices_exhausted", 409, "Too many devices", "never",
              "已達裝置數上限，請先移除一部", "已达设备数上限，请先移除一部", "Too many devices: remove one first", _figures(
              "count",
              "最多 {available} 部裝置，請先移除一部", "最多 {available} 部设备，请先移除一部",
              "At most {available} devices: remove one first")),
        *SETTLEMENT_KINDS,
    )
}  # fmt: skip
"""Kinds by code, in the contract's order."""

KIND_OF_OUTCOME: Final[dict[Outcome, Kind]] = {
    outcome: KINDS[outcome.name.lower()] for outcome in Outcome if outcome.name.lower() in KINDS
}


class Problem(Exception):
    """A request that is not answered as asked. `extensions` become members of the document beside the fixed ones;
    `figures` (asked, available) stand in the hint as they are."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        unknown: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        retry_after: int = RETRY_AFTER_SECONDS,
        figures: tuple[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.kind = KINDS[code]
        self.detail = detail
        self.unknown = unknown
        self.headers = headers
        self.figures = figures
        self.extensions = extensions
        self.guess = False
        """Whether it answers a guess: digits that nobody made, or the id of a member not scanned there."""
        if code in ("overloaded", "unavailable", "rate_limited"):
            self.headers += ((b"retry-after", str(retry_after).encode()),)

    def hint(self, accept_language: str | None) -> str:
        """Return the sentence for the cashier in the caller's language."""
        asked, available = self.figures or (None, None)
        return self.kind.hint(language_of(accept_language), asked, available)

    def body(self, accept_language: str | None) -> bytes:
        """Return the document as JSON in UTF-8."""
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
                "operator_hint": self.hint(accept_language),
                **self.extensions,
            }
        )


def malformed(reason: str, place: str | None = None) -> Problem:
    """A request that cannot be read: where (`legs[0].points`, `header Idempotency-Key`) and why."""
    if place is None:
        return Problem("malformed", reason)
    return Problem("malformed", f"{place}: {reason}", errors=[{"field": place, "reason": reason}])


def refused(
    refusal: Refusal,
    *,
    retry_after: int = RETRY_AFTER_SECONDS,
    currency: str | None = None,
    legs: Sequence[Leg] | None = None,
) -> Problem:
    """The problem that tells a till why nothing was applied. `retry_after` is for one of rates, seconds. `currency` of
    the business and the `legs` that were asked for let the hint say its figures."""
    extensions: dict[str, Any] = {}
    if refusal.outcome is Outcome.RATE_LIMITED:
        whose = _RATE_SUBJECTS[refusal.asked - 1]
        seconds = max(refusal.available, retry_after)
        rate_headers: tuple[tuple[bytes, bytes], ...] = ()
        if refusal.quota >= 0:
            rate_headers = (
                (b"ratelimit-policy", f'"{whose}";q={refusal.quota};w={RATE_WINDOW_SECONDS}'.encode()),
                (b"ratelimit", f'"{whose}";r=0;t={seconds}'.encode()),
            )
        detail = f"Too many calls of this {whose}; again in {seconds} s"
        return Problem(
            "rate_limited",
            detail,
            retry_after=seconds,
            headers=rate_headers,
            figures=("", number(seconds)),
            scope=whose,
        )
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
    return Problem(kind.code, detail, headers=headers, figures=figures_of(refusal, currency, legs), **extensions)


def figures_of(refusal: Refusal, currency: str | None, legs: Sequence[Leg] | None = None) -> tuple[str, str] | None:
    """Return what was asked and what there is as the hint says it; None where the refusal has no such figures, or
    where their unit cannot be known."""
    kind = KIND_OF_OUTCOME[refusal.outcome]
    if kind.figures is None or refusal.asked < 0 or refusal.available < 0 or refusal.asked == refusal.available:
        return None  # equal figures explain nothing: a rule needs a bill and there is none
    unit = "money" if refusal.is_money else kind.figures.unit
    if unit == "leg":
        found = _unit_of(refusal.asked, legs or ())
        if found is None:
            return None
        unit = found
    if unit == "money":
        return None if currency is None else (money(refusal.asked, currency), money(refusal.available, currency))
    return number(refusal.asked), number(refusal.available)


def _unit_of(asked: int, legs: Sequence[Leg]) -> Unit | None:
    """The unit of the only kind of leg of which so much was asked; None where it could be several."""
    sums: dict[str, int] = {}
    units: dict[str, Unit] = {}
    for leg in legs:
        if isinstance(leg, PointsLeg):
            asset, amount, units["points"] = "points", leg.points, "points"
        elif isinstance(leg, BenefitLeg):
            asset, amount = f"benefit:{leg.benefit_id}", leg.uses
            units[asset] = "uses"
        else:
            asset, amount, units["money"] = "money", leg.amount_minor, "money"
        sums[asset] = sums.get(asset, 0) + amount
    found = {units[asset] for asset, total in sums.items() if total == asked}
    return found.pop() if len(found) == 1 else None


_RATE_SUBJECTS: Final = (
    "terminal",
    "outlet",
    "member",
    "terminal's guesses of digits",
    "terminal's cancels of unknown keys",
    "key",
)
"""Whose rate was found exceeded, by the number that redemption/service.py and redemption/call_rates.py give it."""


def grouped(amount: int) -> str:
    """A number in a detail: 2 000."""
    return f"{amount:,}".replace(",", " ")


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
