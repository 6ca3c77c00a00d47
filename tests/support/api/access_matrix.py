"""Who may call what: every path of the gateway, every kind of caller, what each must be answered.

A row is one call on objects that belong to the business `OWN` (or the member `own`). Callers, scopes, role and count
are those of the operation's definition; what a caller is answered follows from the row and the caller (`verdicts`), and
a route without a row fails the test. What the objects are is tests/support/api/access_world.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.server.routes import OPERATIONS
from tests.support.settlement.http import BASE

OWN, OTHER = "matrix-own", "matrix-other"
Verdict = tuple[int, str]
"""Status and problem code; no code where the call was answered."""
Whose = Literal["nobody", "terminal", "member", "back office"]

DONE: Verdict = (200, "")
MADE: Verdict = (201, "")
UNAUTHENTICATED: Verdict = (401, "unauthenticated")
REVOKED: Verdict = (401, "terminal_revoked")
FORBIDDEN: Verdict = (403, "forbidden")
NOT_FOUND: Verdict = (404, "not_found")
PAGE = ((200, ""), (308, ""), (404, "not_found"), (503, "unavailable"))
"""A page for people: there, moved, no such file, or not built in this folder; the same for whoever asks."""


@dataclass(frozen=True)
class Caller:
    """One kind of caller. `refused`: its credential opens nothing anywhere."""

    name: str
    whose: Whose
    business: str | None = None
    may: frozenset[str] = frozenset()
    refused: Verdict | None = None
    signs: bool = False
    """Its requests must be signed, and are not."""


def _terminal(name: str, business: str, *scopes: str, **rest: Any) -> Caller:
    return Caller(f"terminal {name}", "terminal", business, frozenset(scopes), **rest)


def _admin(name: str, business: str | None, *roles: str, **rest: Any) -> Caller:
    return Caller(f"admin {name}", "back office", business, frozenset(roles), **rest)


SCOPES = ("redeem", "hold", "refund", "accrue")
CALLERS: tuple[Caller, ...] = (
    Caller("nobody", "nobody", refused=UNAUTHENTICATED),
    Caller("garbage", "nobody", refused=UNAUTHENTICATED),
    Caller("other scheme", "nobody", refused=UNAUTHENTICATED),
    _terminal("unknown", OWN, refused=UNAUTHENTICATED),
    _terminal("mistyped", OWN, refused=UNAUTHENTICATED),
    _terminal("of another environment", OWN, refused=UNAUTHENTICATED),
    _terminal("revoked", OWN, *SCOPES, refused=REVOKED),
    _terminal("unsigned", OWN, *SCOPES, signs=True),
    _terminal("own", OWN, *SCOPES),
    *(_terminal(f"own, {scope} only", OWN, scope) for scope in SCOPES),
    _terminal("own, no scope", OWN),
    _terminal("other", OTHER, *SCOPES),
    Caller("member own", "member", "own"),
    Caller("member other", "member", "other"),
    Caller("member expired", "member", refused=UNAUTHENTICATED),
    Caller("member of another issuer", "member", refused=UNAUTHENTICATED),
    _admin("group, back_office", None, "back_office"),
    _admin("group, operations", None, "operations"),
    _admin("group, settlement", None, "settlement"),
    _admin("group, no role", None),
    _admin("own, operations", OWN, "operations"),
    _admin("own, settlement", OWN, "settlement"),
    _admin("other, operations", OTHER, "operations"),
    _admin("other, settlement", OTHER, "settlement"),
    _admin("revoked", None, "back_office", "operations", "settlement", refused=REVOKED),
)


@dataclass(frozen=True)
class Row:
    """One call. `path` and the values of `query` and `body` may name objects of the world in braces."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    """As the table of routes has it; `{redemption_id}` and the like are filled from `objects` or the world."""
    of: tuple[Whose, ...]
    """Whose call it is; "nobody" stands for everybody."""
    needs: tuple[str, ...] = ()
    """Scopes of a terminal's key of which it must have one, or the role of a back-office key."""
    own: tuple[Verdict, ...] = (DONE,)
    group: tuple[Verdict, ...] | None = None
    """A key of the whole group, where it is answered otherwise than one of the business itself."""
    other: tuple[Verdict, ...] = (NOT_FOUND,)
    objects: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None
    """Idempotency-Key: one fresh for each call (`fresh`), or this one for all, so that repeats are answered again."""
    stream: bool = False
    limited_by: tuple[str, ...] = ()
    """Whose count the call is in, as `scope` of `rate_limited` names it: a terminal (and its outlet), a member, a
    back-office key; by caller where several kinds may call. tests/integration/access/test_access_rates.py exceeds
    it."""
    unlimited: str = ""
    """Why there is none, where `limited_by` is empty."""

    @property
    def name(self) -> str:
        told = [f"{name}={value}" for name, value in {**self.query, **self.objects}.items()]
        return " ".join((self.method, self.path, *told))


def verdicts(row: Row, caller: Caller) -> tuple[Verdict, ...]:
    """What this caller may be answered to this call: one verdict but for pages."""
    if "nobody" in row.of:
        return row.own
    if row.of == ("member",):
        if caller.whose != "member" or caller.refused is not None:
            return (UNAUTHENTICATED,)  # a key is no access token, revoked or not
        return row.own if caller.business == "own" else row.other
    if caller.refused is not None:
        return (caller.refused,)
    if caller.whose == "member":
        return (UNAUTHENTICATED,)  # an access token is no key
    if caller.whose not in row.of:
        return (FORBIDDEN,)
    if caller.whose == "terminal" and caller.signs:
        return (UNAUTHENTICATED,)
    if row.needs and caller.may.isdisjoint(row.needs) and not (caller.whose == "terminal" and len(row.of) == 2):
        return (FORBIDDEN,)
    if caller.business is None and row.group is not None:
        return row.group
    return row.other if caller.business == OTHER else row.own


_DESCRIBED = {(each.method, each.path): each for each in OPERATIONS}
_WHOSE: dict[str, Whose] = {
    "terminal": "terminal",
    "member": "member",
    "back_office": "back office",
    "anybody": "nobody",
}
_COUNTS: dict[str, str] = {"terminal": "terminal", "member": "member", "back_office": "key"}


def _call(method: Any, path: str, *, needs: tuple[str, ...] | None = None, **rest: Any) -> Row:
    """Return a row whose callers, scopes or role and count are those of the operation's definition."""
    described = _DESCRIBED[method, path]
    callers = (*described.also, described.caller)
    declared = described.scopes or ((described.role,) if described.role else ())
    return Row(
        method,
        path,
        tuple(_WHOSE[caller] for caller in callers),
        declared if needs is None else needs,
        limited_by=tuple(_COUNTS[caller] for caller in callers if caller != "anybody"),
        **rest,
    )


def _till(method: Any, path: str, *needs: str, **rest: Any) -> Row:
    return _call(method, path, needs=needs or None, **rest)


def _member(method: Any, path: str, other: Verdict = DONE, **rest: Any) -> Row:
    return _call(method, path, other=(other,), **rest)


def _operations(path: str, **rest: Any) -> Row:
    return _call("GET", path, other=(DONE,), **rest)


def _settles(method: Any, path: str, **rest: Any) -> Row:
    return _call(method, BASE + path, **rest)


def _reconciles(method: Any, path: str, **rest: Any) -> Row:
    return _call(method, f"{BASE}/reconciliations{path}", **rest)


def _anybody(path: str, unlimited: str, *verdicts: Verdict, **rest: Any) -> Row:
    return Row("GET", path, ("nobody",), own=verdicts or (DONE,), unlimited=unlimited, **rest)


_MEMORY = "answered from memory, tells nothing of a member and writes nothing"
_PLATFORM = "asked by the platform without credentials; a probe that is refused would restart a good worker"
_FILE = "a file that everybody may have; tells and writes nothing"
_CODE = {"code": "{code}"}
_SEEN_BY_NAME = {"business": OWN}
_NOT_CLOSED: Verdict = (409, "period_not_closed")
_STEP = "/v1/redemptions/{redemption_id}"
_HELD = {"legs": [{"kind": "points", "points": 1}], "capture": False, "confirm_duplicate": True}


def _listed(path: str, **query: str) -> tuple[Row, Row]:
    """A list by name, which another business does not have, and without: then everybody gets its own."""
    return (
        _settles("GET", path, query={**query, **_SEEN_BY_NAME}),
        _settles("GET", path, query=query, other=(DONE,)),
    )


ROWS: tuple[Row, ...] = (
    _till("POST", "/v1/verify", "redeem", body=_CODE, key="fresh", own=(MADE,), other=(MADE,)),
    _till("POST", "/v1/verify", "hold", body={**_CODE, **_HELD}, key="fresh", own=(MADE,), other=(MADE,)),
    _till("POST", "/v1/prepare", body=_CODE, other=(DONE,)),
    _till("POST", "/v1/cancel", body={"redemption_id": "{to_cancel}"}),
    _till("POST", "/v1/cancel", body={**_CODE, "idempotency_key": "{fresh_key}"}, other=(DONE,)),
    _till("GET", "/v1/redemptions", query={"bill_reference": "{reference}"}, other=(DONE,)),
    _till("GET", "/v1/redemptions", query={"status": "held"}, other=(DONE,)),
    _till("POST", "/v1/redemptions/search", body=_CODE, other=(DONE,)),
    _till("GET", _STEP, objects={"redemption_id": "captured"}),
    _till("POST", f"{_STEP}/capture", objects={"redemption_id": "to_capture"}, body={}, key="capture-1"),
    _till("POST", f"{_STEP}/void", objects={"redemption_id": "to_void"}, body={}, key="void-1"),
    _till("POST", f"{_STEP}/refund", objects={"redemption_id": "to_refund"}, body={}, key="refund-1"),
    _till(
        "POST",
        "/v1/accruals",
        key="fresh",
        own=(MADE,),
        other=(MADE,),
        body={
            "member_id": "{member_own}",
            "bill": {"reference": "{fresh_key}", "amount_minor": 500, "currency": "CNY"},
        },
    ),
    _till("POST", "/v1/accruals/{accrual_id}/reverse", body={}, key="reverse-1"),
    _till("GET", "/v1/terminal", other=(DONE,)),
    _member("POST", "/v1/me/codes", body={"count": 1}),
    _member("GET", "/v1/me"),
    _member("GET", "/v1/me/benefits"),
    _member("GET", "/v1/me/activity"),
    _member("GET", "/v1/me/events", stream=True),
    _member(
        "POST", "/v1/me/devices", NOT_FOUND, own=(MADE, NOT_FOUND), body={"name": "one more", "replaces": "{device_id}"}
    ),
    _member("GET", "/v1/me/devices"),
    _member("DELETE", "/v1/me/devices/{device_id}", NOT_FOUND),
    _operations("/v1/ops/events", stream=True),
    _operations("/v1/ops/snapshot"),
    _operations("/v1/ops/series", query={"minutes": "1"}),
    _operations("/v1/ops/refusals"),
    *_listed("/agreements"),
    _settles("GET", "/agreements/{agreement_id}"),
    _settles(
        "POST",
        "/agreements/{agreement_id}/versions",
        body={"agreement": "{agreement}"},
        group=(DONE,),
        own=(FORBIDDEN,),
        other=(FORBIDDEN,),
    ),
    *_listed("/periods"),
    _settles("GET", "/periods/{period}"),
    _settles("GET", "/periods/{period}/lines"),
    _settles("GET", "/periods/{period}/export", own=(_NOT_CLOSED,)),
    _settles("POST", "/periods/{period}/approve", body={}, own=(_NOT_CLOSED,), group=((400, "malformed"),)),
    _settles("POST", "/periods/{period}/approve", body=_SEEN_BY_NAME, own=(_NOT_CLOSED,)),
    _settles("POST", "/periods/{period}/pay", body={"reference": "BANK-1"}, own=(_NOT_CLOSED,)),
    _settles(
        "POST", "/months/{month}/close", body={}, group=((409, "month_not_over"),), own=(FORBIDDEN,), other=(FORBIDDEN,)
    ),
    *_listed("/nets", month="{month}"),
    _settles("GET", "/statements", query={**_SEEN_BY_NAME, "period": "today", "format": "json"}),
    *_listed("/exceptions"),
    *_listed("/disputes"),
    _settles("GET", "/disputes/{dispute_id}"),
    _settles("POST", "/disputes/{dispute_id}/resolve", body={"note": "withdrawn"}),
    _settles("POST", "/lines/{line_id}/disputes", body={**_SEEN_BY_NAME, "reason": "too much"}, own=(MADE,)),
    _settles(
        "POST", "/lines/{line_id}/disputes", body={"reason": "too much"}, own=(MADE,), group=((400, "malformed"),)
    ),
    _reconciles("GET", "", query=_SEEN_BY_NAME),
    _reconciles("GET", "", other=(DONE,)),
    _reconciles("POST", "", query={**_SEEN_BY_NAME, "day": "{day}"}, body={"list": "{till_list}"}),
    _reconciles("GET", "/{reconciliation_id}"),
    _reconciles("GET", "/{reconciliation_id}/bills"),
    _reconciles("GET", "/{reconciliation_id}/file", query={"format": "json"}),
    _anybody("/v1/group", f"names only, the same for everybody; {_MEMORY}"),
    _anybody("/healthz", _PLATFORM),
    _anybody("/readyz", _PLATFORM),
    _anybody("/metrics", _PLATFORM),
    _anybody("/.well-known/jwks.json", f"public keys; {_MEMORY}"),
    _anybody("/openapi.json", f"the description; {_MEMORY}"),
    _anybody("/docs", f"the description; {_MEMORY}"),
    # It has a token of its own.
    _anybody("/v1/demo/sign-ins", "only in the development stack, from memory", (401, "unauthenticated")),
    *(_anybody(f"/{folder}", _FILE, *PAGE) for folder in ("app", "scanner", "ops")),
    *(
        _anybody(f"/{folder}/{{path:path}}", _FILE, *PAGE, objects={"path:path": "file"})
        for folder in ("app", "scanner", "ops", "assets")
    ),
    *(_anybody(path, _FILE, *PAGE) for path in ("/", "/first.js", "/mark.svg")),
)
