"""The objects of the access matrix, made once, and calls of every kind of caller on them."""

import datetime
import json
import secrets
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from gateway.administration.keys import KeyWanted, create_key, make_key, revoke
from gateway.settings import DEVELOPMENT_ISSUER
from redemption.domain.members import member_id
from tests.support.api.access_matrix import CALLERS, OTHER, OWN, SCOPES, Caller, Row, Verdict
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import refusal_code
from tests.support.servers.stack import Member, Stack, Terminal
from tests.support.settlement.http import BASE, GROUP_ZONE
from tests.support.suite.waiting import wait_until
from tokens import api_keys
from tokens.claims import slot_at
from tokens.development_issuer import DevelopmentIssuer

REFERENCE = "MATRIX-1"
ISSUER_OF_POINTS = "hotel"
STORED_TABLES = (
    "settlement_agreement_version",
    "settlement_approval",
    "settlement_payment",
    "settlement_dispute",
    "settlement_resolution",
    "settlement_reconciliation",
    "settlement_period",
    "member_device",
)


@dataclass
class World:
    """A stack, the callers' credentials, and objects of `OWN` and of the member `own`."""

    stack: Stack
    tong: TongClient
    own: Terminal
    other: Terminal
    member: Member
    other_member: Member
    credentials: dict[str, str | None] = field(default_factory=dict, repr=False)
    objects: dict[str, Any] = field(default_factory=dict)
    last_headers: httpx2.Headers = field(default_factory=httpx2.Headers)
    """Of the last answer, where calls are made one after the other."""

    def code(self) -> str:
        """A genuine code of the member `own`; no two are the same."""
        return self.stack.code_issuer().issue(self.member.number, slot_at(time.time())).code

    async def ask(self, row: Row, caller: Caller) -> tuple[Verdict, str]:
        """The call of the row by this caller: the verdict, and what was answered."""
        path = row.path
        for name in self.objects:
            path = path.replace(f"{{{name}}}", str(self.objects[name]))
        for name, filled in row.objects.items():
            path = path.replace(f"{{{name}}}", str(self.objects[filled]))
        assert "{" not in path, path
        headers = {"accept-language": "en"}
        if (credential := self.credentials[caller.name]) is not None:
            headers["authorization"] = credential
        if row.key is not None:
            headers["idempotency-key"] = fresh_key() if row.key == "fresh" else f"matrix-{row.key}"
        content = None
        if row.body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(self._filled(row.body)).encode()
        query = {name: self._text(value) for name, value in row.query.items()}
        request = self.tong.http.build_request(row.method, path, params=query, headers=headers, content=content)
        answer = await self.tong.http.send(request, stream=True)
        self.last_headers = answer.headers
        try:
            if row.stream and answer.status_code == 200:
                return (200, ""), ""  # it goes on
            text = (await answer.aread()).decode("utf-8", "replace")
        finally:
            await answer.aclose()
        is_problem = answer.headers.get("content-type") == "application/problem+json"
        return (answer.status_code, json.loads(text)["code"] if is_problem else ""), text

    def _filled(self, body: Mapping[str, Any]) -> Any:
        whole = body.get("agreement") or body.get("list")
        if whole is not None:  # all of the body is one object of the world
            return self.objects[whole.strip("{}")]
        return {
            name: self._text(value)
            if isinstance(value, str)
            else self._filled(value)
            if isinstance(value, Mapping)
            else value
            for name, value in body.items()
        }

    def _text(self, value: str) -> str:
        if value == "{code}":
            return self.code()
        if value == "{fresh_key}":
            return fresh_key()
        return str(self.objects[value.strip("{}")]) if value.startswith("{") else value

    async def stored(self) -> dict[str, str | None]:
        """A digest of every table that a call of the matrix could change."""
        async with self.stack.ledger() as ledger:
            return {
                table: await ledger.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")  # noqa: S608
                for table in STORED_TABLES
            }


async def made_world(stack: Stack, tong: TongClient) -> World:
    """Everything that the rows name."""
    own, other = await stack.terminal(OWN), await stack.terminal(OTHER)
    member, other_member = await stack.members([[(ISSUER_OF_POINTS, 5_000, 3)], [(ISSUER_OF_POINTS, 900, 3)]])
    world = World(stack, tong, own, other, member, other_member)
    await _credentials(world)
    await _scans(world)
    await _settlement(world)
    answer = await _post(world, "member own", "/v1/me/devices", {"name": "phone"})
    today = datetime.datetime.now(GROUP_ZONE).date()
    yesterday = today - datetime.timedelta(days=1)
    world.objects |= {
        "device_id": answer["device_id"],
        "member_own": member.member_id,
        "reference": REFERENCE,
        "day": f"{yesterday:%Y-%m-%d}",
        "file": "none",
        "till_list": {"rows": [{"reference": "T-1", "amount_minor": 100}]},
    }
    path = f"{BASE}/reconciliations?day={world.objects['day']}"
    found = await _post(world, "terminal own", path, world.objects["till_list"])
    world.objects["reconciliation_id"] = found["reconciliation_id"]
    return world


async def _credentials(world: World) -> None:
    stack, bearers = world.stack, dict[str, str]()
    settings = stack.settings
    for caller in CALLERS:
        if caller.whose == "terminal" and caller.business is not None:
            terminal = world.own if caller.business == OWN else world.other
            if set(caller.may) == set(SCOPES) and caller.refused is None and not caller.signs:
                bearers[caller.name] = terminal.api_key
                continue
            wanted = KeyWanted(
                terminal.terminal_id, scopes=tuple(caller.may), signature="hmac-sha256" if caller.signs else None
            )
            bearers[caller.name] = (await make_key(settings, wanted)).text
        elif caller.whose == "back office":
            bearers[caller.name] = await create_key(settings, None, tuple(caller.may), caller.business)
    for name in ("terminal revoked", "admin revoked"):
        assert await revoke(settings, bearers[name].split("_")[3])
    genuine = world.own.api_key
    bearers["terminal unknown"] = api_keys.mint(api_keys.KeyKind.TERMINAL, settings.environment).text
    bearers["terminal mistyped"] = genuine[:-1] + ("a" if genuine[-1] != "a" else "b")
    bearers["terminal of another environment"] = api_keys.mint(api_keys.KeyKind.TERMINAL, "else").text
    bearers["member own"] = world.member.access_token
    bearers["member other"] = world.other_member.access_token
    bearers["member expired"] = stack.access_token(world.member.number, -3_600)
    with tempfile.TemporaryDirectory() as folder:  # the same name, other keys
        elsewhere = DevelopmentIssuer(Path(folder), DEVELOPMENT_ISSUER, settings.member_audience, time.time)
        bearers["member of another issuer"] = elsewhere.access_token(member_id(world.member.number), 3_600)
    bearers["garbage"] = "nonsense"
    for name, text in bearers.items():
        stack.remembered.add(f"the credential {name}", text)
    world.credentials = {name: f"Bearer {text}" for name, text in bearers.items()}
    world.credentials |= {"nobody": None, "other scheme": f"Basic {secrets.token_urlsafe(20)}"}
    last = world.credentials["admin other, settlement"]
    revoked = world.credentials["admin revoked"]

    async def knows_all(http: httpx2.AsyncClient) -> bool:
        answers = [await http.get(f"{BASE}/periods", headers={"authorization": str(each)}) for each in (last, revoked)]
        return answers[0].status_code == 200 and refusal_code(answers[1]) == "terminal_revoked"

    await stack.until_every_worker("knows the keys of the matrix", knows_all)


async def _post(world: World, caller: str, path: str, body: Any, key: str | None = None) -> dict[str, Any]:
    headers = {"authorization": str(world.credentials[caller])} | ({"idempotency-key": key} if key else {})
    answer = await world.tong.http.post(path, json=body, headers=headers)
    assert answer.is_success, (path, answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def _scans(world: World) -> None:
    """Redemptions of `OWN`, each for the row that ends it, and an accrual."""
    for name, points, capture in (
        ("captured", 101, True),
        ("to_cancel", 102, True),
        ("to_refund", 103, True),
        ("disputed", 104, True),
        ("to_capture", 105, False),
        ("to_void", 106, False),
    ):
        body = {"code": world.code(), "bill": bill(20_000, REFERENCE), "legs": [points_leg(points)], "capture": capture}
        world.objects[name] = (await _post(world, "terminal own", "/v1/verify", body, fresh_key()))["redemption_id"]
    body = {"member_id": world.member.member_id, "bill": bill(20_000, REFERENCE)}  # scanned a moment ago
    world.objects["accrual_id"] = (await _post(world, "terminal own", "/v1/accruals", body, fresh_key()))["accrual_id"]


async def _settlement(world: World) -> None:
    """The lines that the stack's settlement writes of these scans, a dispute on one, an agreement of `OWN` alone."""
    office = {"authorization": str(world.credentials["admin own, settlement"])}
    month = f"{datetime.datetime.now(GROUP_ZONE):%Y-%m}"
    period = ".".join((month.replace("-", ""), *sorted((OWN, ISSUER_OF_POINTS))))
    wanted = {world.objects[name] for name in ("captured", "to_cancel", "to_refund", "disputed")}
    lines: dict[str, str] = {}

    async def are_there() -> bool:
        answer = await world.tong.http.get(f"{BASE}/periods/{period}/lines", headers=office)
        if answer.status_code == 200:
            lines.update({line["redemption_id"]: line["line_id"] for line in answer.json()["lines"]})
        return wanted <= lines.keys()

    await wait_until(f"settlement has written {len(wanted)} lines", are_there, seconds=60)
    path = f"{BASE}/lines/{lines[world.objects['disputed']]}/disputes"
    dispute = await _post(world, "admin own, settlement", path, {"reason": "wrong"})
    agreement = {
        "issuer": OWN,
        "acceptor": ISSUER_OF_POINTS,
        "instrument": "points",
        "rule": {"kind": "agreed_price", "price_minor": 1, "per_units": 2},
        "valid_from": "2090-01-01",
    }
    path = f"{BASE}/agreements/{OWN}-agreement/versions"
    await _post(world, "admin group, settlement", path, agreement)
    world.objects |= {
        "month": month,
        "period": period,
        "line_id": lines[world.objects["captured"]],
        "dispute_id": dispute["dispute_id"],
        "agreement_id": f"{OWN}-agreement",
        "agreement": agreement,
    }
