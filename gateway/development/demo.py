"""`tong demo`: the main job on real input, against the stack that runs on this TONG_HOME.

Guarantees: nothing is taken for granted; each step compares what came with what must come, and the first difference
ends the run with the step's name and status 1. It can be run any number of times: it spends few points of a member who
has enough, under keys never used before. A new step is a method of `Tour` and a line in `STEPS`.
"""

import asyncio
import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from gateway.development.private_files import private_folder
from gateway.settings import Settings
from redemption.database import Pool, open_pool

BUSINESS: Final = "hotel"
POINTS: Final = 100
BILL_MINOR: Final = 25_800
PAYMENTS: Final = 2
ANSWER_SECONDS: Final = 10.0
LEDGER_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05

_POSTINGS: Final = """
SELECT posting.asset, posting.account, posting.owner, posting.lot, posting.amount
FROM ledger_transaction AS transaction
JOIN ledger_posting AS posting USING (bucket, epoch, entry_ms, entry_seq, occurred_at)
WHERE transaction.subject_id = $1 AND transaction.kind = 'redeem'
ORDER BY posting.entry_ms, posting.entry_seq, posting.line
"""


class Differs(Exception):
    """A step came to something else than it must; the text says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Tour:
    """What the steps know of each other. `demo` is the content of demo.json."""

    demo: dict[str, Any]
    folder: Path
    member: dict[str, Any] = field(default_factory=dict)
    points: int = 0
    entries: list[dict[str, str]] = field(default_factory=list)
    scanned: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[dict[str, Any], str, Answer]] = field(default_factory=list)

    async def is_ready(self) -> list[str]:
        answer = await self.call("GET", "/readyz")
        _expect(answer.status == 200, f"/readyz answers {_told(answer)}")
        return [self.demo["base_url"]]

    async def finds_a_member(self) -> list[str]:
        for member in self.demo["members"]:
            answer = await self.call("GET", "/v1/me", member["access_token"])
            _expect(answer.status == 200, f"/v1/me answers {_told(answer)}")
            me = answer.json()
            if me["balance"]["points"] >= POINTS * PAYMENTS:
                self.member, self.points = member, me["balance"]["points"]
                lots = ", ".join(f"{each['points']} of {each['issuer']}" for each in me["lots"])
                return [f"{me['display_name']} ({me['tier']}) has {self.points} points: {lots}"]
        raise Differs("no member of the demo group has enough points left; start anew in another TONG_HOME")

    async def fetches_codes(self) -> list[str]:
        answer = await self.call("POST", "/v1/me/codes", self.member["access_token"], {"count": PAYMENTS})
        _expect(answer.status == 200, f"/v1/me/codes answers {_told(answer)}")
        self.entries = answer.json()["codes"]
        _expect(len(self.entries) == PAYMENTS, f"{len(self.entries)} codes came, not {PAYMENTS}")
        first = self.entries[0]
        return [f"{len(self.entries)} codes; the first, {len(first['code'])} characters, ends {first['expires_at']}"]

    async def draws_them(self) -> list[str]:
        from gateway.development.symbols import draw  # noqa: PLC0415 - the drawing library is for the demo only

        private_folder(self.folder)
        draw("QR", self.entries[0]["code"], self._picture("QR"))
        draw("Code 128", self.entries[1]["digits"], self._picture("Code 128"))
        return [f"{self._picture('QR')}, {self._picture('Code 128')}"]

    async def scans_the_pictures(self) -> list[str]:
        from gateway.development.symbols import read  # noqa: PLC0415 - the same

        for symbol, wanted in (("QR", self.entries[0]["code"]), ("Code 128", self.entries[1]["digits"])):
            found = read(self._picture(symbol))
            _expect([name for name, _ in found] == [symbol], f"the decoder finds {found} in the {symbol} picture")
            self.scanned[symbol] = found[0][1]
            _expect(self.scanned[symbol] == wanted, f"the {symbol} picture reads {self.scanned[symbol]!r}")
        return [f"the decoder reads the QR symbol and, from the Code 128, {self.scanned['Code 128']}"]

    async def pays_by_qr(self) -> list[str]:
        return await self._pays("QR")

    async def repeats_it(self) -> list[str]:
        body, key, first = self.sent[0]
        again = await self.verify(body, key)
        _expect(again.status == first.status, f"the repeat answers {_told(again)}")
        _expect(again.body == first.body, f"the repeat's bytes differ: {again.body!r}")
        _expect(again.headers["Idempotency-Replayed"] == "true", "the repeat has no Idempotency-Replayed: true")
        return [f"{again.status}, Idempotency-Replayed: true, the same {len(again.body)} bytes; nothing more was taken"]

    async def tries_the_code_again(self) -> list[str]:
        body, _, _ = self.sent[0]
        key = _fresh_key()
        hints = []
        for language in ("zh-Hant", "en"):
            answer = await self.verify(body, key, language)
            _expect(answer.status == 409, f"the used code answers {_told(answer)}")
            problem = answer.json()
            found = (problem["code"], problem["outcome"], problem["retry"])
            _expect(found == ("code_used", "not_applied", "new_code"), f"the used code answers {_told(answer)}")
            hints.append(problem["operator_hint"])
        return ["409 code_used, not applied; the cashier reads: " + " / ".join(hints)]

    async def pays_by_digits(self) -> list[str]:
        return await self._pays("Code 128")

    async def looks_it_up(self) -> list[str]:
        for _, _, answer in self.sent:
            redemption_id = answer.json()["redemption_id"]
            found = await self.call("GET", f"/v1/redemptions/{redemption_id}", self._till())
            _expect((found.status, found.body) == (200, answer.body), f"{redemption_id} reads {_told(found)}")
        return ["both redemptions read as they were answered"]

    async def reads_the_ledger(self) -> list[str]:
        pool = await open_pool(self.demo["postgres_dsn"], size=1, name="tong-demo")
        try:
            lines = [f"{len(self.sent)} transactions in PostgreSQL, each sums to zero"]
            for _, _, answer in self.sent:
                lines += await self._transaction(pool, answer.json()["redemption_id"])
            return lines
        finally:
            await pool.close()

    async def _transaction(self, pool: Pool, redemption_id: str) -> list[str]:
        deadline = time.monotonic() + LEDGER_SECONDS
        while not (postings := await pool.fetch(_POSTINGS, redemption_id)):
            _expect(time.monotonic() < deadline, f"{redemption_id} is not in the ledger after {LEDGER_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
        sums: dict[str, int] = {}
        taken = 0
        lines = [redemption_id]
        for posting in postings:
            sums[posting["asset"]] = sums.get(posting["asset"], 0) + posting["amount"]
            if (posting["account"], posting["owner"]) == ("member_available", self.member["member_id"]):
                taken -= posting["amount"]
            where = f"{posting['account']} of {posting['owner']}"
            lines.append(f"  {posting['amount']:+8} {posting['asset']}  {where:36} lot {posting['lot']}")
        for asset, total in sums.items():
            lines.append(f"  {total:8} {asset}  in sum")
            _expect(total == 0, f"{redemption_id}: the postings of {asset} sum to {total}, not to zero")
        _expect(taken == POINTS, f"{redemption_id}: the ledger took {taken} points of the member, not {POINTS}")
        return lines

    async def _pays(self, symbol: str) -> list[str]:
        body = {
            "code": self.scanned[symbol],
            "bill": {"reference": f"DEMO-{secrets.token_hex(4)}", "amount_minor": BILL_MINOR, "currency": "CNY"},
            "legs": [{"kind": "points", "points": POINTS}],
        }
        key = _fresh_key()
        answer = await self.verify(body, key)
        _expect(answer.status == 201, f"the {symbol} code answers {_told(answer)}")
        _expect("Idempotency-Replayed" not in answer.headers, "a first answer says it is a repeat")
        redemption = answer.json()
        bill, leg = redemption["bill"], redemption["legs"][0]
        _expect(redemption["member"]["member_id"] == self.member["member_id"], "the code is another member's")
        _expect(sum(lot["points"] for lot in leg["lots"]) == POINTS, f"the lots are not {POINTS} points: {leg}")
        _expect(bill["payable_minor"] == BILL_MINOR - leg["value_minor"], f"the bill does not add up: {bill}")
        left = redemption["balance"]["points"]
        _expect(left == self.points - POINTS, f"{left} points are left of {self.points}")
        self.points = left
        self.sent.append((body, key, answer))
        lots = " and ".join(f"{lot['points']} of {lot['issuer']} ({lot['expires_month']})" for lot in leg["lots"])
        return [
            f"201 {redemption['status']}, {redemption['redemption_id']}",
            f"member   {redemption['member']['display_name']} ({redemption['member']['tier']})",
            f"points   {lots}",
            f"to pay   {_money(bill['payable_minor'])} of {_money(BILL_MINOR)} {bill['currency']}",
            f"left     {left} points",
        ]

    def _picture(self, symbol: str) -> Path:
        return self.folder / (symbol.lower().replace(" ", "") + ".png")

    def _till(self) -> str:
        keys = [each["api_key"] for each in self.demo["terminals"] if each["business"] == BUSINESS]
        _expect(bool(keys), f"demo.json has no terminal of {BUSINESS}")
        return str(keys[0])

    async def verify(self, body: dict[str, Any], key: str, language: str = "en") -> Answer:
        """`POST /v1/verify` as the hotel's terminal."""
        headers = {"Idempotency-Key": key, "Accept-Language": language}
        return await self.call("POST", "/v1/verify", self._till(), body, headers)

    async def call(
        self,
        method: str,
        path: str,
        bearer: str | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request. Raises `Differs` when there is no answer in time."""
        sent = dict(headers or {})
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        content = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - demo.json names http://, and it is ours
            self.demo["base_url"] + path, content, sent, method=method
        )
        return await asyncio.to_thread(_exchange, request)


def _exchange(request: urllib.request.Request) -> Answer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine needs no proxy
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())
    except (OSError, HTTPException) as fault:
        raise Differs(f"{request.full_url} does not answer ({fault}); does `tong up` still run?") from None


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Differs(otherwise)


def _told(answer: Answer) -> str:
    return f"{answer.status}: {answer.body[:600].decode(errors='replace')}"


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def _fresh_key() -> str:
    return f"demo-{secrets.token_hex(8)}"


STEPS: Final[tuple[tuple[str, Callable[[Tour], Awaitable[list[str]]]], ...]] = (
    ("The stack is ready", Tour.is_ready),
    ("A member of the demo group", Tour.finds_a_member),
    ("The app fetches codes", Tour.fetches_codes),
    ("They are drawn as pictures", Tour.draws_them),
    ("The picture files are scanned", Tour.scans_the_pictures),
    ("The hotel's till takes the QR code", Tour.pays_by_qr),
    ("The till repeats it, same key", Tour.repeats_it),
    ("The same code under another key", Tour.tries_the_code_again),
    ("The till takes the Code 128 digits", Tour.pays_by_digits),
    ("The till looks both up", Tour.looks_it_up),
    ("The ledger", Tour.reads_the_ledger),
)


async def demo(settings: Settings) -> int:
    """Goes through the steps. Returns the exit status: 0 when all came to what they must."""
    file = settings.home / "demo.json"
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        _say(
            f"tong: nothing runs on TONG_HOME={settings.home} (no {file.name} there); start it with `tong up`", bad=True
        )
        return 1
    tour = Tour(content, settings.home / "demo")
    for number, (title, step) in enumerate(STEPS, 1):
        try:
            line, *details = await step(tour)
        except Differs as difference:
            _say(f"{number:2}. {title}: FAILED. {difference}", bad=True)
            return 1
        except ImportError as missing:
            _say(f"{number:2}. {title}: FAILED. {missing}; `pip install tong[development]` brings it", bad=True)
            return 1
        except Exception as fault:  # an answer of another shape, a store that is away: told with the step's name
            _say(f"{number:2}. {title}: FAILED. {fault!r}", bad=True)
            return 1
        _say(f"{number:2}. {title}: {line}")
        for detail in details:
            _say(f"      {detail}")
    _say("Everything came to what it must.")
    return 0


def _say(text: str, *, bad: bool = False) -> None:
    print(text, file=sys.stderr if bad else sys.stdout, flush=True)
