"""The settlement API as a business's back office uses it, every answer held against the document; and uses of a month
that is over, put into the hot store's streams as the functions wrote them then."""

import datetime
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from gateway.openapi.document import document
from redemption.domain.members import member_id
from tests.support.api.openapi import all_routes, check_answer
from tests.support.servers.stack import HotClient

BASE = "/v1/settlement"
GROUP_ZONE = ZoneInfo("Asia/Shanghai")


def month_over() -> datetime.date:
    """The first day of the month before last: over in every time zone."""
    first = datetime.datetime.now(GROUP_ZONE).date().replace(day=1)
    for _ in range(2):
        first = (first - datetime.timedelta(days=1)).replace(day=1)
    return first


@dataclass
class Office:
    """Whoever calls with a credential. `template` is the path as the document has it."""

    http: httpx2.AsyncClient
    key: str | None = field(repr=False)
    described: dict[str, Any] = field(default_factory=lambda: document(all_routes()), repr=False)

    async def get(self, path: str, template: str | None = None, **parameters: Any) -> httpx2.Response:
        answer = await self.http.get(BASE + path, params=parameters, headers=self._headers())
        if answer.status_code != 304:
            check_answer(self.described, ("GET", BASE + (template or path)), answer)
        return answer

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        template: str | None = None,
        media_type: str = "application/json",
        **parameters: Any,
    ) -> httpx2.Response:
        headers = self._headers()
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            headers["content-type"] = media_type
        answer = await self.http.post(BASE + path, params=parameters, content=content, headers=headers)
        check_answer(self.described, ("POST", BASE + (template or path)), answer)
        return answer

    async def found(self, path: str, template: str | None = None, **parameters: Any) -> Any:
        """The body of an answer that must be 200."""
        answer = await self.get(path, template, **parameters)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def all_of(self, path: str, name: str, template: str | None = None, **parameters: Any) -> list[Any]:
        """Every item of a list, page by page."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        for _ in range(1_000):
            page = await self.found(path, template, **parameters, **cursor)
            items += page[name]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}
        raise AssertionError(f"{path} has no last page")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key is not None else {}


async def add_past_entry(
    hot: HotClient,
    kind: str,
    subject_id: str,
    business: str,
    outlet: str,
    moves: list[tuple[str, str, str, str, int]],
    moment: datetime.datetime,
    *,
    legs: list[dict[str, Any]] | None = None,
    reference: str | None = None,
    number: int = 99_000_000,
) -> None:
    """An entry of a ledger stream that happened then; a move is (asset, lot, from, to, amount)."""
    context: dict[str, Any] = {"business": business, "outlet": outlet, "bill": None}
    if reference is not None:
        context["bill"] = {"reference": reference, "amount_minor": 100_000, "currency": "CNY"}
    if legs is not None:
        context["legs"] = legs
    await hot.xadd(
        f"{{b{number % 64}}}:ledger",
        {
            "v": "1",
            "kind": kind,
            "id": subject_id,
            "member": member_id(number),
            "at": str(int(moment.timestamp() * 1000)),
            "moves": ";".join(",".join(str(word) for word in move) for move in moves),
            "context": json.dumps(context),
        },
    )


def fresh_subject() -> str:
    """An id of a redemption nobody has."""
    return f"rdm_{secrets.token_hex(9)}"


def points_used(issuers: dict[str, int]) -> list[tuple[str, str, str, str, int]]:
    """Moves of points of these issuers that a member used."""
    return [("points", f"209912.{issuer}", "A", "R", points) for issuer, points in issuers.items()]
