"""/docs: that it is complete, needs nothing, and keeps to itself."""

import asyncio
import base64
import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from gateway.openapi.document import document
from gateway.pages import reference
from gateway.problems.documents import KINDS
from tests.support.api.client import TongClient
from tests.support.api.openapi import (
    all_routes,
    operations,
    wealthy_member,
)
from tests.support.servers.stack import Stack


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return document(all_routes())


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "wbr", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles.append(data)

    def values(self, attribute: str) -> Iterator[str]:
        return (value for name, value in self.attributes if name == attribute)


async def test_the_page_needs_no_script_and_no_other_host_and_may_use_none(tong: TongClient) -> None:
    answer = await tong.http.get("/docs")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.open == [], "every element is closed"
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "style", "srcset"}]
    assert all(target.startswith(("#", "/")) for target in page.values("href"))
    (style,) = page.styles
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_page_shows_every_call_and_every_refusal_in_three_languages(
    tong: TongClient, generated: dict[str, Any]
) -> None:
    text = (await tong.http.get("/docs")).text
    page = Page(text)
    anchors = Counter(page.values("id"))
    assert all(count == 1 for count in anchors.values())
    assert all(target[1:] in anchors for target in page.values("href") if target.startswith("#"))
    for operation in operations(generated).values():
        assert operation["operationId"] in anchors
    for kind in KINDS.values():
        assert kind.type_uri.rsplit("/", 1)[1] in anchors
        assert all(hint in unescape(text) for hint in kind.hints.values())


async def test_the_command_shown_for_verify_works_as_shown(stack: Stack, tong: TongClient) -> None:
    text = (await tong.http.get("/docs")).text
    shown = unescape(text.split('id="verify"', 1)[1].split('<pre tabindex="0">', 1)[1].split("</pre>", 1)[0])
    member = await wealthy_member(stack)
    till = stack.terminals["hotel"]
    shell = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        shown,
        env={
            "PATH": "/usr/bin:/bin",
            "TONG": stack.base_url,
            "TERMINAL_KEY": till.api_key,
            "CODE": await tong.code(member),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(shell.communicate(), 30)
    assert json.loads(output)["status"] == "captured", output


def test_what_comes_from_the_document_is_escaped_on_the_page(generated: dict[str, Any]) -> None:
    hostile = "<script>alert('`1`')</script>\"'&"
    described: dict[str, Any] = json.loads(json.dumps(generated))
    described["info"]["description"] = hostile
    for tag in described["tags"]:
        tag["description"] = hostile
    for operation in operations(described).values():
        operation["description"] = hostile
        for response in operation["responses"].values():
            response["description"] = hostile
            for content in response["content"].values():
                if "example" in content:
                    content["example"] = {hostile: hostile}
    for schema in described["components"]["schemas"].values():
        schema["description"] = hostile
        schema["properties"] = {
            name: {**field, "description": hostile} for name, field in schema.get("properties", {}).items()
        }
    text = reference.page(described)
    assert "<script" not in text
    assert Page(text).open == []
