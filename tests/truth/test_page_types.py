"""The pages' types are those of the API's description: a field that may be null there may be null in the pages."""

import re
from pathlib import Path

import pytest

from tests.support.pages.page_types import TARGET, render

SOURCES = TARGET.parents[1]
DERIVED = ("app/types.ts", "ops/types.ts")


def test_what_the_api_may_leave_null_is_null_in_the_types() -> None:
    bill = re.search(r"export interface NoticeBill \{(.*?)\n\}", render(), re.DOTALL)
    assert bill is not None
    assert "payable_minor: number | null" in bill.group(1)


@pytest.mark.parametrize("name", DERIVED)
def test_a_page_declares_no_answer_of_its_own(name: str) -> None:
    """The one exception is an event, which OpenAPI has no way to describe: it adds to a described answer."""
    text = Path(SOURCES / name).read_text(encoding="utf-8")
    assert "/shared/described'" in text
    assert re.findall(r"export interface (\w+)(?: extends \w+)?", text) in ([], ["Notice"])
