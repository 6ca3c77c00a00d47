"""`tong demo codes`: for each refusal of a till, the requests that lead to it, like the test cards of payment
sandboxes.

Only in a development stack: it needs the demo.json of a running `tong up`.

    cases(keys, codes)  the requests, one after another, of each refusal
    NOT_ON_PURPOSE      refusals that no request brings about

Guarantees: every request is whole (headers, body, a fresh key) and goes to the till of refusal_group.py, so that the
demo's own members keep what they have. Codes are good for GOOD_SECONDS from the moment that they are printed; then the
command is run again. What a case takes (a hundred points of the test member) is not given back.
"""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gateway.development.demo.refusal_group import (
    ALONE,
    BLOCKED_MEMBER,
    CURRENCY,
    ELSEWHERE,
    HIGHEST,
    MEMBER,
    MINIMUM,
    MINIMUM_POINTS,
    OVER,
    POINTS,
    REVOKED_MEMBER,
    STORED_MINOR,
    TILL,
    USED_UP,
    TillKeys,
    make_refusal_group,
)
from gateway.problems.documents import KINDS
from gateway.settings import Settings
from redemption.domain.errors import RefusedError
from redemption.domain.limits import AMOUNT_MINOR_MAX, BODY_BYTES_MAX, GUESSES_PER_TERMINAL
from tokens.claims import CODE_LIFETIME_SECONDS, SLOT_SECONDS, SLOTS_AHEAD_MAX, slot_at
from tokens.codec import CodeIssuer, IssuedCode
from tokens.digits import check_digit
from tokens.keyring import KeyRing

GOOD_SECONDS: Final = 120
VERIFY: Final = "/v1/verify"
NOT_ON_PURPOSE: Final[dict[str, str]] = {
    "overloaded": "A gateway answers it while it has more calls than it can answer. To see it: `make bench-overload`.",
    "unavailable": "A gateway says it while a store is away or being rebuilt. To see it: stop the pid of valkey in "
    "demo.json with SIGSTOP, and let it go on with SIGCONT.",
}
_AHEAD_SLOTS: Final = SLOTS_AHEAD_MAX - 1
_OLD_SECONDS: Final = 600
_SHOWN_CHARACTERS: Final = 40

assert _AHEAD_SLOTS * SLOT_SECONDS + CODE_LIFETIME_SECONDS - 2 * SLOT_SECONDS >= GOOD_SECONDS


class NoSuchRefusal(RefusedError):
    """There is no test code for this refusal; the text lists the known ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `answers` is the expected status, `code` that of the problem document, if it is one.

    `{redemption_id}` in a path is replaced by the id in the answer to the step before. The body is `body` as JSON, or
    where that is null `text`, written `text_times` times. `times`: it is sent so often, each time with another key
    (`-2`, `-3` … after it), or until it is answered so. `wait_seconds`: before it is sent.
    """

    path: str
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] | None
    answers: int
    code: str | None = None
    method: str = "POST"
    text: str | None = None
    text_times: int = 1
    times: int = 1
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """The steps to one refusal. `what` describes it in a line; the last step is the refused one."""

    refusal: str
    what: str
    steps: tuple[Step, ...]


class Codes:
    """Genuine codes of the test members, signed with the stack's own ring.

    `of_lost_phone` is made at once: it must be older than the revocation that `make_refusal_group` makes."""

    def __init__(self, settings: Settings) -> None:
        ring = KeyRing.load(settings.code_keys_path(), settings.environment)
        self._issuer = CodeIssuer(ring, settings.code_algorithm, time.time)
        self.of_lost_phone = self.fresh(REVOKED_MEMBER)

    def fresh(self, member: int = MEMBER) -> str:
        """Return a code that is valid from now on, for GOOD_SECONDS and a little more."""
        return self._issue(member, slot_at(time.time()) + _AHEAD_SLOTS).code

    def expired(self) -> str:
        return self._issue(MEMBER, slot_at(time.time() - _OLD_SECONDS)).code

    def forged(self) -> str:
        """Return a genuine code whose signature was changed in one character."""
        head, _, signature = self.fresh().rpartition(".")
        return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"

    def guessed_digits(self) -> str:
        """Return 18 digits that look right and are nobody's (one in a million and a half would be)."""
        digits = self._issue(MEMBER, slot_at(time.time())).digits
        body = digits[:8] + str((int(digits[8]) + 1) % 10) + digits[9:-1]
        return f"{body}{check_digit(body)}"

    def _issue(self, member: int, slot: int) -> IssuedCode:
        return self._issuer.issue(member, slot)


class _Till:
    """A writer of one till's requests. Every key is made here, once."""

    def __init__(self, keys: TillKeys, codes: Codes) -> None:
        self.keys = keys
        self.codes = codes
        self.run = secrets.token_hex(4)
        self.amount = 100_000 + secrets.randbelow(900_000)  # each run has another bill, so that none is a duplicate
        self._requests = 0

    def headers(self, *, key: str | None = None, api_key: str | None = None) -> dict[str, str]:
        self._requests += 1
        return {
            "Authorization": f"Bearer {api_key or self.keys.all}",
            "Content-Type": "application/json",
            "Idempotency-Key": key or f"test-{self.run}-{self._requests}",
        }

    def without(self, header: str) -> dict[str, str]:
        return {name: value for name, value in self.headers().items() if name != header}

    def bill(self, amount: int | None = None, currency: str = CURRENCY) -> dict[str, Any]:
        return {
            "reference": f"TEST-{self.run}",
            "amount_minor": self.amount if amount is None else amount,
            "currency": currency,
        }

    def sale(self, *legs: dict[str, Any], bill: int | None = None, **others: Any) -> dict[str, Any]:
        """Return the body of a verify with a fresh code."""
        return {"code": self.codes.fresh(), "bill": self.bill(bill), "legs": list(legs), **others}

    def refused(self, refusal: str, body: dict[str, Any], *, path: str = VERIFY, **others: Any) -> Step:
        """Return a request that leads to this refusal."""
        given = {"headers": self.headers(), **others}
        return Step(path, body=body, answers=KINDS[refusal].status, code=refusal, **given)

    def taken(self, body: dict[str, Any], *, key: str | None = None) -> Step:
        """Return a verify that is applied."""
        return Step(VERIFY, self.headers(key=key), body, 201)

    def done(self, call: str, body: dict[str, Any]) -> Step:
        return Step(f"/v1/redemptions/{{redemption_id}}/{call}", self.headers(), body, 200)

    def not_done(self, refusal: str, call: str, body: dict[str, Any], **others: Any) -> Step:
        return self.refused(refusal, body, path=f"/v1/redemptions/{{redemption_id}}/{call}", **others)


def points(amount: int) -> dict[str, Any]:
    return {"kind": "points", "points": amount}


def benefit(benefit_id: str) -> dict[str, Any]:
    return {"kind": "benefit", "benefit_id": benefit_id}


def cases(keys: TillKeys, codes: Codes) -> list[Case]:
    """Return every refusal but those of NOT_ON_PURPOSE, in the contract's order."""
    till = _Till(keys, codes)
    order = list(KINDS)
    found = [
        *_of_the_request(till),
        *_of_the_key(till),
        *_of_the_code(till),
        *_of_the_basket(till),
        *_of_earning(till),
        *_of_the_id(till),
    ]
    return sorted(found, key=lambda case: order.index(case.refusal))


def _of_the_request(till: _Till) -> Iterator[Case]:
    def case(refusal: str, what: str, body: dict[str, Any] | None = None, **others: Any) -> Case:
        return Case(refusal, what, (till.refused(refusal, till.sale() if body is None else body, **others),))

    too_large = Step(VERIFY, till.headers(), None, 413, "body_too_large", text=" ", text_times=BODY_BYTES_MAX + 1)
    yield Case("body_too_large", f"a body of more than {BODY_BYTES_MAX} bytes", (too_large,))
    as_text = {**till.headers(), "Content-Type": "text/plain"}
    yield case("unsupported_media_type", "Content-Type: text/plain", headers=as_text)
    yield case("malformed", "a number of points that is a word", till.sale({"kind": "points", "points": "many"}))
    yield case("malformed", "a bill in another currency", {**till.sale(), "bill": till.bill(currency="USD")})
    yield case("idempotency_key_missing", "no Idempotency-Key", headers=till.without("Idempotency-Key"))
    yield case("unauthenticated", "no Authorization", headers=till.without("Authorization"))
    yield case("terminal_revoked", "a key that was revoked", headers=till.headers(api_key=till.keys.revoked))
    refund_only = till.headers(api_key=till.keys.refund_only)
    yield case("forbidden", "a key that may refund only", headers=refund_only)
    yield case(
        "rate_limited",
        f"guessed digits, more than {GUESSES_PER_TERMINAL} in ten minutes; the till then takes no digits for as long",
        {"code": till.codes.guessed_digits()},
        times=GUESSES_PER_TERMINAL + 1,
    )


def _of_the_key(till: _Till) -> Iterator[Case]:
    key = f"test-{till.run}-reused"
    first = till.taken({"code": till.codes.fresh()}, key=key)
    other = till.refused("idempotency_key_reused", till.sale(), headers=till.headers(key=key))
    yield Case("idempotency_key_reused", "another body under the key of an identity check", (first, other))
    key = f"test-{till.run}-cancelled"
    late = till.sale(points(MINIMUM_POINTS))
    cancel = Step("/v1/cancel", till.headers(), {"idempotency_key": key, "code": late["code"]}, 200)
    refused = till.refused("cancelled", late, headers=till.headers(key=key))
    yield Case("cancelled", "a cancel first, then the sale it speaks of, late", (cancel, refused))


def _of_the_code(till: _Till) -> Iterator[Case]:
    for refusal, what, code in (
        ("code_malformed", "the address on a menu", "https://example.invalid/menu"),
        ("code_forged", "a code whose signature was changed", till.codes.forged()),
        ("code_expired", f"a code of {_OLD_SECONDS // 60} minutes ago", till.codes.expired()),
        ("code_revoked", "a code of a member who reported the phone lost", till.codes.of_lost_phone),
        ("member_blocked", "a code of a member who is blocked", till.codes.fresh(BLOCKED_MEMBER)),
    ):
        yield Case(refusal, what, (till.refused(refusal, {"code": code}),))
    code = till.codes.fresh()
    again = till.refused("code_used", {"code": code})
    yield Case("code_used", "the code of an identity check, under another key", (till.taken({"code": code}), again))


def _of_earning(till: _Till) -> Iterator[Case]:
    bill = till.bill(AMOUNT_MINOR_MAX)
    accrual = till.refused("earning_limit_reached", {"code": till.codes.fresh(), "bill": bill}, path="/v1/accruals")
    yield Case("earning_limit_reached", "a purchase that would earn more than a bill may", (accrual,))


def _of_the_basket(till: _Till) -> Iterator[Case]:
    twice = points(MINIMUM_POINTS)
    yield Case(
        "possible_duplicate",
        "the same basket within a minute, with another code and key",
        (till.taken(till.sale(twice)), till.refused("possible_duplicate", till.sale(twice))),
    )
    stored = {"kind": "stored_value", "amount_minor": STORED_MINOR + 1}
    for refusal, what, sale in (
        ("leg_not_allowed_here", "a benefit of another business", till.sale(benefit(ELSEWHERE))),
        ("benefit_unknown", "an unknown benefit", till.sale(benefit("no-such-benefit"))),
        ("benefit_not_now", "a benefit whose last day is over", till.sale(benefit(OVER))),
        ("benefit_exhausted", "a benefit of which the member has no use", till.sale(benefit(USED_UP))),
        ("tier_too_low", "a benefit of the highest level, the member has the lowest", till.sale(benefit(HIGHEST))),
        ("bill_below_minimum", "a benefit for larger bills", till.sale(benefit(MINIMUM), bill=100)),
        ("not_stackable", "an exclusive benefit beside points", till.sale(benefit(ALONE), points(MINIMUM_POINTS))),
        ("points_below_minimum", "fewer points than this till takes", till.sale(points(MINIMUM_POINTS - 1))),
        ("points_insufficient", "more points than the member has", till.sale(points(POINTS + 1), bill=POINTS * 2)),
        ("stored_value_insufficient", "more stored value than the member has", till.sale(stored)),
        ("exceeds_bill", "points that are worth more than the bill", till.sale(points(MINIMUM_POINTS + 1), bill=1)),
    ):
        yield Case(refusal, what, (till.refused(refusal, sale),))


def _of_the_id(till: _Till) -> Iterator[Case]:
    """Return the cases after verify: a till sends these to an id."""

    def held(amount: int, **others: Any) -> Step:
        # The bills differ in amount, so that the holds of one run are no duplicates of each other.
        sale = till.sale(points(MINIMUM_POINTS), bill=till.amount + amount, capture=False, **others)
        return till.taken(sale)

    more = {"legs": [points(MINIMUM_POINTS + 1)]}
    took = till.taken(till.sale(points(MINIMUM_POINTS), bill=till.amount + 1))
    yield Case(
        "exceeds_redemption",
        "a refund of more than was taken",
        (took, till.not_done("exceeds_redemption", "refund", more)),
    )
    took = till.taken(till.sale(points(MINIMUM_POINTS), bill=till.amount + 2))
    yield Case(
        "already_refunded",
        "a second refund",
        (took, till.done("refund", {}), till.not_done("already_refunded", "refund", {})),
    )
    yield Case(
        "already_captured",
        "a second capture",
        (held(3), till.done("capture", {}), till.not_done("already_captured", "capture", {})),
    )
    yield Case(
        "already_voided",
        "a capture after the void",
        (held(4), till.done("void", {}), till.not_done("already_voided", "capture", {})),
    )
    yield Case(
        "exceeds_hold", "a capture of more than was held", (held(5), till.not_done("exceeds_hold", "capture", more))
    )
    late = till.not_done("hold_expired", "capture", {}, wait_seconds=2)
    yield Case("hold_expired", "a capture after the hold's second is over", (held(6, hold_seconds=1), late))
    nobodys = till.refused("not_found", {}, path="/v1/redemptions/rdm_00000000000000000000000000/capture")
    yield Case("not_found", "the id of no redemption of this business", (nobodys,))


async def refusal_lines(settings: Settings, refusal: str | None, *, as_json: bool) -> list[str]:
    """Return the lines for all of them, or for one. Raises `NoSuchRefusal` and the stores' faults."""
    if refusal in NOT_ON_PURPOSE:
        return [_not_on_purpose(refusal)]
    codes = Codes(settings)
    found = cases(await make_refusal_group(settings), codes)
    wanted = [case for case in found if refusal in (None, case.refusal)]
    if not wanted:
        known = ", ".join(dict.fromkeys(case.refusal for case in found))
        raise NoSuchRefusal(f"there is no test code for {refusal!r}; there are: {known}")
    if as_json:
        return [json.dumps([asdict(case) for case in wanted], ensure_ascii=False, indent=1)]
    lines = [f"At the till {TILL}. Good for {GOOD_SECONDS} s; whole requests: tong demo codes REFUSAL --json"]
    for case in wanted:
        lines += ["", f"{KINDS[case.refusal].status} {case.refusal}: {case.what}"]
        lines += [f"    {_step_line(step)}" for step in case.steps]
    if refusal is None:
        for name in NOT_ON_PURPOSE:
            lines += ["", _not_on_purpose(name)]
    return lines


def _not_on_purpose(refusal: str) -> str:
    return f"{KINDS[refusal].status} {refusal}: nothing that is sent brings it about. {NOT_ON_PURPOSE[refusal]}"


def _step_line(step: Step) -> str:
    """Return a step in a line, without the till's key; of a long code its ends."""
    body = f"{step.text_times} spaces"
    if step.body is not None:
        code = step.body.get("code", "")
        shown = {"code": f"{code[:6]}…{code[-6:]}"} if len(code) > _SHOWN_CHARACTERS else {}
        body = json.dumps({**step.body, **shown}, ensure_ascii=False)
    often = f" × {step.times}" if step.times > 1 else ""
    after = f"after {step.wait_seconds} s " if step.wait_seconds else ""
    return f"{after}{step.method} {step.path}{often} {body} → {step.answers} {step.code or ''}".rstrip()
