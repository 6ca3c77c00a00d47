"""docs/reference/errors.md is the table of problems; docs/start/integrate.md names paths that exist.

The samples of that page run in test_guide.py.
"""

import re
from pathlib import Path
from typing import Any

from gateway.problems.documents import KINDS
from gateway.server.routes import OPERATIONS
from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.errors_document import TILL_DOES, render
from tests.support.api.openapi import wealthy_member
from tests.support.servers.stack import Stack
from tests.support.suite.waiting import wait_until

DOCS = Path(__file__).parents[3] / "docs"
INTEGRATE = (DOCS / "start" / "integrate.md").read_text(encoding="utf-8")


def test_the_list_of_refusals_is_made_of_the_table_of_problems() -> None:
    assert set(TILL_DOES) == set(KINDS)
    told = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    assert told == render(), "make it anew: python -m tests.support.api.errors_document > docs/reference/errors.md"


def test_every_path_that_the_guide_names_exists() -> None:
    known = {re.sub(r"\{\w+\}", "{id}", call.path) for call in OPERATIONS}
    named = {re.sub(r"\$\w+", "{id}", path) for path in re.findall(r"/v1/[a-z/{}$A-Z]+[a-zA-Z}]", INTEGRATE)}
    assert named <= known, named - known


async def test_what_is_found_by_a_bills_reference_is_what_was_taken(stack: Stack, tong: TongClient) -> None:
    member = await wealthy_member(stack)
    till = stack.terminals["hotel"]
    reference = f"GUIDE-{member.number}"
    body = {"code": await tong.code(member), "bill": bill(reference=reference), "legs": [points_leg(90)]}
    taken = (await tong.verify(till, body, fresh_key())).json()

    async def listed() -> list[dict[str, Any]]:
        headers = {"authorization": f"Bearer {till.api_key}"}
        answer = await tong.http.get("/v1/redemptions", params={"bill_reference": reference}, headers=headers)
        redemptions: list[dict[str, Any]] = answer.json()["redemptions"]
        return redemptions

    found = await wait_until("the list has the redemption", listed)
    assert [each["redemption_id"] for each in found] == [taken["redemption_id"]]
