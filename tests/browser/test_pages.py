"""The built pages as the gateway hands them out: small, of this host alone, kept by browsers as long as is right."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from gateway.pages.site import BUILT, FOLDERS, PagesMissingError, Site
from tests.support.api.client import TongClient
from tests.support.pages.browser import visiting
from tests.support.servers.stack import Stack

BUDGET_BYTES = 60_000
"""Of everything a page needs before it shows itself, gzipped; what it loads later (the camera's decoder) is extra."""

PAGES = ("", *FOLDERS)


class Needs(HTMLParser):
    """The files of this host that a page asks for at once."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.files: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.files.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "modulepreload"):
            self.files.append(given.get("href") or "")
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


def page(name: str) -> str:
    return (BUILT / name / "index.html").read_text(encoding="utf-8")


def imported(script: Path) -> set[Path]:
    """What a script imports statically, by the names that the build gave: `import … from "./x.js"`."""
    text = script.read_text(encoding="utf-8")
    names = re.findall(r'(?:from|import)\s*["\'`]\./([\w.-]+\.js)["\'`]', text)
    return {script.with_name(name) for name in names}


def needed(name: str) -> set[Path]:
    found: set[Path] = set()
    waiting = [BUILT / file.lstrip("/") for file in Needs(page(name)).files]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(file) if file.suffix == ".js" else ()
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small(name: str) -> None:
    files = [BUILT / name / "index.html", *needed(name)]
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in files}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_nothing_inline_and_names_no_other_host(name: str) -> None:
    needs = Needs(page(name))
    assert needs.inline == []
    assert needs.files
    assert all(file.startswith("/") and not file.startswith("//") for file in needs.files), needs.files
    assert not re.search(r"https?://", page(name))


@pytest.mark.parametrize("name", FOLDERS)
async def test_a_page_is_guarded(name: str, tong: TongClient) -> None:
    answer = await tong.http.get(f"/{name}/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    wasm = " 'wasm-unsafe-eval'" if name == "scanner" else ""
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'self'{wasm}",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data: blob:",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert ("camera=(self)" if name == "scanner" else "camera=()") in answer.headers["permissions-policy"]


async def test_a_page_without_its_slash_leads_to_it(tong: TongClient) -> None:
    answer = await tong.http.get("/app")
    assert (answer.status_code, answer.headers["location"]) == (308, "/app/")


async def test_files_with_a_hash_in_their_name_are_kept_for_ever_and_others_asked_for_again(tong: TongClient) -> None:
    script = next(file for file in Needs(page("app")).files if file.startswith("/assets/"))
    answer = await tong.http.get(script)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    plain = await tong.http.get(script, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content == (BUILT / script.lstrip("/")).read_bytes()
    again = await tong.http.get("/app/", headers={"if-none-match": (await tong.http.get("/app/")).headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/app/nothing.js", "/assets/", "/assets/..%2fstamp", "/app/..%2f..%2fsite.py", "/app/index.html.gz"]
)
async def test_what_the_build_did_not_write_is_not_there(path: str, tong: TongClient) -> None:
    answer = await tong.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_pages_that_were_not_built_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PagesMissingError, match="make pages"):
        Site(tmp_path).find("app/")


def test_another_build_is_noticed_and_taken(tmp_path: Path) -> None:
    site = Site(tmp_path)
    before = site.outdated
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "index.html").write_text("<!doctype html>")
    (tmp_path / "stamp").write_text("one")
    assert (before, site.outdated) == (False, True)
    found = Site(tmp_path).find("app/")
    assert found is not None
    assert found.body == b"<!doctype html>"


async def test_the_way_in_leads_to_every_page(browser: Browser, stack: Stack) -> None:
    async with visiting(browser, stack.base_url, locale="en-GB") as visitor:
        await visitor.open("/")
        await visitor.wait("h1", "Exactly once")
        links = await visitor.page.eval_on_selector_all(
            "main a", "found => found.map(each => each.getAttribute('href'))"
        )
        assert links == ["/app/", "/scanner/", "/ops/", "/docs"]
        for link in links:
            assert (await visitor.context.request.get(stack.base_url + link)).ok
        assert await visitor.serious_findings() == []


async def test_the_printed_address_signs_in_and_leaves_its_token_nowhere(browser: Browser, stack: Stack) -> None:
    demo = stack.demo
    address, _, token = demo["pages_url"].partition("#demo=")
    assert (address, token) == (demo["base_url"] + "/", demo["pages_access_token"])
    async with visiting(browser, demo["base_url"], locale="en-GB") as visitor:
        sent: list[str] = []
        visitor.context.on("request", lambda each: sent.append(f"{each.url} {each.headers.get('referer')}"))
        await visitor.open(f"/#demo={token}")
        await visitor.wait("h1", "Exactly once")
        await visitor.page.click("a[href='/ops/']")
        await visitor.wait(".who")
        await visitor.open("/app/")
        await visitor.wait(".who")
        assert visitor.page.url == demo["base_url"] + "/app/"
        await visitor.page.go_back()
        await visitor.page.go_back()
        assert visitor.page.url == demo["base_url"] + "/"
        assert not [each for each in sent if token in each]
    async with visiting(browser, demo["base_url"], locale="en-GB") as other:
        await other.open("/app/")
        await other.wait("input[type=password]")
        assert await other.page.locator(".who").count() == 0


async def test_the_demo_tells_its_sign_ins_to_who_has_its_token_and_to_this_machine_only(
    stack: Stack, tong: TongClient
) -> None:
    token = {"authorization": f"Bearer {stack.demo['pages_access_token']}"}
    without: tuple[dict[str, Any], ...] = (
        {},
        {"authorization": f"Bearer {stack.demo['admin_api_key']}"},
        {"authorization": token["authorization"][:-1]},
        {"authorization": f"Basic {stack.demo['pages_access_token']}"},
        {"authorization": b"Bearer \xff"},
    )
    for wrong in without:
        refused = await tong.http.get("/v1/demo/sign-ins", headers=wrong)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    answer = await tong.http.get("/v1/demo/sign-ins", headers=token)
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    demo = stack.demo
    assert told["admin_api_key"] == demo["admin_api_key"]
    assert [each["api_key"] for each in told["terminals"]] == [each["api_key"] for each in demo["terminals"]]
    assert [each["access_token"] for each in told["members"]] == [each["access_token"] for each in demo["members"]]
    assert all(each["display_name"] and each["tier_name"]["en"] for each in told["members"])
    assert all(each["business_name"]["en"] and each["outlet_name"]["en"] for each in told["terminals"])
    # A name that somebody else points at this machine is not this machine's.
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"):
        refused = await tong.http.get("/v1/demo/sign-ins", headers={"host": host, **token})
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), host


async def test_the_group_tells_what_everything_is_called(tong: TongClient) -> None:
    told = (await tong.http.get("/v1/group")).json()
    assert [tier["tier"] for tier in told["tiers"]] == ["standard", "silver", "gold", "diamond"]
    hotel = next(each for each in told["businesses"] if each["business_id"] == "hotel")
    assert hotel["name"]["zh-Hant"] == "通逸酒店"
    assert hotel["outlets"][0]["name"]["en"] == "Front desk"
    assert "dining-80" in {each["benefit_id"] for each in told["benefits"]}
