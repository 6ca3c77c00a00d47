"""/docs: the OpenAPI document and the table of problems as one page.

Guarantees: complete without a script and without a request to any host, which its Content-Security-Policy enforces;
everything that comes from the document is escaped; every problem has the anchor that its `type` ends with.
"""

import base64
import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.openapi.operation import PROBLEM_JSON
from gateway.pages.flows import LIFE, LOST_ANSWER
from gateway.pages.schema_rows import Row, rows
from gateway.problems.documents import KINDS
from gateway.problems.groups import ANYWHERE
from gateway.problems.kinds import Kind, Language, Retry

_RETRY: Final[dict[Retry, tuple[str, str]]] = {
    "same_key": (
        "Send it again as it was",
        "Same key, same body, after `Retry-After` seconds, with growing pauses. It can never be applied twice.",
    ),
    "new_key": (
        "Change the request",
        "Nothing was applied. Correct what `detail` names and send it as a new request under a new key.",
    ),
    "new_code": (
        "Scan again",
        "Nothing was applied. Ask for a fresh code; that is another request, so it takes a new key as well.",
    ),
    "never": (
        "Stop",
        "Nothing was applied and repeating changes nothing: a person has to look, as `operator_hint` says.",
    ),
}
_LANGUAGES: Final[tuple[tuple[Language, str], ...]] = (("zh-Hant", "繁體"), ("zh-Hans", "简体"), ("en", "English"))
FIELDS_UNFOLDED_MAX: Final = 6
LINE_CHARACTERS: Final = 60
_BEARER: Final = {"terminal": "$TERMINAL_KEY", "member": "$ACCESS_TOKEN", "back_office": "$ADMIN_KEY"}


@cache
def _style() -> str:
    return (files("gateway.pages") / "reference.css").read_text(encoding="utf-8")


def security_headers() -> dict[str, str]:
    """Return headers that keep the page to itself. The style is allowed by its hash (CSP level 3, §6.7.3.3)."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }


def page(document: dict[str, Any]) -> str:
    """Return the page, HTML."""
    calls = list(_calls(document))
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Tong {escape(document['info']['version'])}: the interface</title>",
            f"<style>{_style()}</style></head><body>",
            '<a class="skip" href="#top">To the text</a>',
            _navigation(document, calls),
            '<main id="top">',
            _opening(document),
            _AUTHENTICATION,
            _retries(),
            LIFE,
            *_all_calls(document, calls),
            _refusals(calls),
            f"<footer>Tong {escape(document['info']['version'])} · made from the types that validate requests · ",
            '<a href="/openapi.json">/openapi.json</a></footer></main></body></html>',
        )
    )


def _calls(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return method, path and operation, in the order of the tags."""
    for tag in document["tags"]:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"] == [tag["name"]]:
                    yield method.upper(), path, operation


def prose(text: str) -> str:
    """Return text of docstrings and tables as HTML: escaped, with `code` in backticks marked as such."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text, quote=False))


def _navigation(document: dict[str, Any], calls: list[tuple[str, str, dict[str, Any]]]) -> str:
    parts = [
        '<nav aria-label="Contents"><a class="brand" href="#top"><span class="mark" lang="zh">通</span>Tong</a>',
        '<input type="checkbox" id="contents"><label for="contents">Contents</label><div class="contents">',
        '<p>Start</p><ul><li><a href="#authenticate">Authenticate</a></li><li><a href="#retry">Retry</a></li>'
        '<li><a href="#life">Life of a redemption</a></li></ul>',
    ]
    for tag in document["tags"]:
        parts.append(f"<p>{escape(tag['name'])}</p><ul>")
        for method, path, operation in calls:
            if operation["tags"] == [tag["name"]]:
                # A break is allowed after each slash, so that a path never widens the column.
                label = escape(_short(path)).replace("/", "/<wbr>")
                parts.append(f'<li><a href="#{escape(operation["operationId"])}">{_badge(method)}{label}</a></li>')
        parts.append("</ul>")
    parts.append('<p>Reference</p><ul><li><a href="#refusals">Refusals</a></li>')
    parts.append('<li><a href="/openapi.json">openapi.json</a></li></ul></div></nav>')
    return "".join(parts)


def _short(path: str) -> str:
    """Return the short form for the contents: `/v1/redemptions/{redemption_id}/void` is `/redemptions/{id}/void`."""
    return re.sub(r"\{\w+_id\}", "{id}", path.removeprefix("/v1"))


def _badge(method: str) -> str:
    return f'<span class="method {method.lower()}">{method}</span>'


def _opening(document: dict[str, Any]) -> str:
    return (
        '<header><p class="kicker">API reference</p><h1>One scan. Any business. Exactly once.</h1>'
        f'<p class="lead">{prose(document["info"]["description"])}</p></header>'
    )


_AUTHENTICATION: Final = """
<section id="authenticate"><h2>Authenticate</h2>
<p>Every call under <code>/v1</code> carries <code>Authorization: Bearer …</code>. Which credential depends on who
calls. Only hashes of keys are stored; a revoked key stops working within a second.</p>
<div class="scroll" role="region" aria-label="Who calls with which credential" tabindex="0"><table>
<thead><tr><th>Who calls</th><th>Credential</th><th>Where it comes from</th></tr></thead><tbody>
<tr><th scope="row">Till, scanner</th><td><code>tong_tk_…</code></td><td><code>tong keys create --terminal trm_…</code>;
bound to one outlet of one business</td></tr>
<tr><th scope="row">Member app</th><td>JWT</td><td>the group's identity provider; the subject is the member</td></tr>
<tr><th scope="row">Back office</th><td><code>tong_ak_…</code></td><td><code>tong keys create --role …</code></td></tr>
</tbody></table></div>
<p>To try it: <code>make run</code> writes keys and tokens of a demo group to <code>var/demo.json</code>. The examples
below expect them in the shell:</p>
<pre tabindex="0">TONG=http://127.0.0.1:8000
TERMINAL_KEY=$(jq -r '.terminals[0].api_key' var/demo.json)
ACCESS_TOKEN=$(jq -r '.members[0].access_token' var/demo.json)
CODE=$(curl -sS -X POST "$TONG/v1/me/codes" -H "Authorization: Bearer $ACCESS_TOKEN" | jq -r '.codes[0].code')</pre>
</section>
"""


def _retries() -> str:
    cards = []
    for retry, (title, text) in _RETRY.items():
        codes = ", ".join(_link(kind) for kind in KINDS.values() if kind.retry == retry)
        cards.append(
            f'<article class="card {retry}"><p class="value"><code>{retry}</code></p><h4>{escape(title)}</h4>'
            f"<p>{prose(text)}</p><details><summary>Which refusals</summary><p>{codes}</p></details></article>"
        )
    return (
        f'<section id="retry"><h2>Retry</h2>{LOST_ANSWER}<h3>When there is an answer</h3>'
        "<p><code>201</code> means applied and durable. Any other answer is a problem document; <code>outcome</code> "
        "says whether something happened (<code>not_applied</code>, or <code>unknown</code>, which only a 5xx may say) "
        "and <code>retry</code> what to do. No answer at all (time-out, connection cut) is treated as "
        f'<code>same_key</code>.</p><div class="cards">{"".join(cards)}</div></section>'
    )


def _link(kind: Kind) -> str:
    return f'<a href="#{_anchor(kind)}"><code>{kind.code}</code></a>'


def _anchor(kind: Kind) -> str:
    """Return the last part of the kind's `type`."""
    return escape(kind.type_uri.rsplit("/", 1)[1])


def _all_calls(document: dict[str, Any], calls: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    components = document["components"]["schemas"]
    for tag in document["tags"]:
        yield f'<section class="group"><h2>{escape(tag["name"])}</h2><p>{prose(tag["description"])}</p>'
        for method, path, operation in calls:
            if operation["tags"] == [tag["name"]]:
                yield _call(method, path, operation, components)
        yield "</section>"


def _call(method: str, path: str, operation: dict[str, Any], components: dict[str, Any]) -> str:
    left = [f"<p>{prose(operation['description'])}</p>"]
    if operation.get("parameters"):
        left.append("<h4>Headers and parameters</h4>" + _table(map(_parameter_row, operation["parameters"])))
    example: Any = None
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        example, *others = (each["value"] for each in content["examples"].values())
        optional = "" if operation["requestBody"]["required"] else " <small>may be absent</small>"
        left.append(f"<h4>Body{optional}</h4>" + _body(rows(content["schema"], components)))
    right = ["<h4>Example</h4>", _pre(_curl(method, path, operation, example))]
    if "requestBody" in operation:
        names = [each["summary"] for each in content["examples"].values()][1:]
        for name, other in zip(names, others, strict=True):
            right.append(f"<details><summary>Body: {escape(name)}</summary>{_pre(_shown(other))}</details>")
    for status, response in operation["responses"].items():
        for media_type, content in response["content"].items():
            if "example" in content:
                left.append(_answer(status, response, content, components))
                right.append(f"<h4>{status} <small>{escape(media_type)}</small></h4>")
                right.append(_pre(_shown(content["example"])))
    codes = list(_refusals_of(operation))
    if codes:
        chips = "".join(f"<li><small>{KINDS[code].status}</small>{_link(KINDS[code])}</li>" for code in codes)
        left.append(f'<h4>Refusals <small>the first that holds</small></h4><ul class="chips">{chips}</ul>')
    return (
        f'<article class="call" id="{escape(operation["operationId"])}"><h3>{_badge(method)}<code>{escape(path)}</code>'
        f'<small class="caller">{_caller(operation)}</small></h3><div class="sides"><div>{"".join(left)}</div>'
        f'<div class="side">{"".join(right)}</div></div></article>'
    )


def _refusals_of(operation: dict[str, Any]) -> Iterator[str]:
    """Return codes in the contract's order of precedence."""
    answered = {
        code
        for response in operation["responses"].values()
        for code in response["content"].get(PROBLEM_JSON, {}).get("examples", {})
    }
    return (code for code in KINDS if code in answered)


def _caller(operation: dict[str, Any]) -> str:
    names = [name for choice in operation["security"] for name in choice]
    return {"terminal": "terminal key", "member": "member's token", "back_office": "back-office key"}.get(
        names[0] if names else "", "no credentials"
    )


def _parameter_row(parameter: dict[str, Any]) -> Row:
    schema = {"properties": {parameter["name"]: parameter["schema"]}}
    row = rows(schema, {})[0]
    return Row(row.path, parameter["in"], parameter["required"], row.limits, parameter["description"])


def _body(fields: list[Row]) -> str:
    """Return the fields of a request; long inner parts are folded away."""
    if not fields:
        return "<p>An empty object, or none.</p>"
    parts: list[str] = []
    for name, found in groupby(fields, key=lambda row: re.split(r"[.\[]", row.path)[0]):
        own, *inner = found
        parts.append(_table([own]))
        if inner and len(fields) > FIELDS_UNFOLDED_MAX:
            count = "1 field" if len(inner) == 1 else f"{len(inner)} fields"
            parts.append(f"<details><summary>{count} of <code>{escape(name)}</code></summary>{_table(inner)}</details>")
        elif inner:
            parts.append(_table(inner))
    return f'<div class="body">{"".join(parts)}</div>'


def _table(fields: Iterable[Row]) -> str:
    parts = ['<dl class="fields">']
    choice = ""
    for row in fields:
        if row.choice != choice and row.choice:
            parts.append(
                f'<div class="choice"><dt>with <code>{escape(row.choice)}</code></dt>'
                f"<dd>{prose(row.meaning)}</dd></div>"
            )
        choice = row.choice
        need = "" if row.required else '<span class="optional">optional</span>'
        limits = f'<span class="limits">{prose(row.limits)}</span>' if row.limits else ""
        text = f"<p>{prose(row.description)}</p>" if row.description else ""
        parts.append(
            f'<div><dt><code>{escape(row.path)}</code><span class="kind">{escape(row.kind)}</span>{need}</dt>'
            f"<dd>{text}{limits}</dd></div>"
        )
    return "".join((*parts, "</dl>"))


def _answer(status: str, response: dict[str, Any], content: dict[str, Any], components: dict[str, Any]) -> str:
    fields = rows(content["schema"], components)
    title = f"<h4>{status} <small>{prose(response['description'])}</small></h4>"
    if not fields:
        return title
    count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
    return f"{title}<details><summary>{count}</summary>{_table(fields)}</details>"


def _curl(method: str, path: str, operation: dict[str, Any], example: Any) -> str:
    """Return a command for the shell that the section on authentication has prepared."""
    lines = ["curl -sS" + (" -X POST" if method == "POST" else "")]
    names = [name for choice in operation["security"] for name in choice]
    if names:
        lines.append(f'-H "Authorization: Bearer {_BEARER[names[0]]}"')
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header" and parameter["required"]:
            lines.append(f"-H {shlex.quote(parameter['name'] + ': ' + parameter['example'])}")
        elif parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
        elif parameter["in"] == "query" and parameter["required"]:
            path += f"{'&' if '?' in path else '?'}{parameter['name']}={quote(parameter['example'])}"
    if example is not None:
        body = _json(example)
        if isinstance(example, dict) and "code" in example:
            body = body.replace(orjson.dumps(example["code"]).decode(), '"\'"$CODE"\'"', 1)
        lines += ["-H 'Content-Type: application/json'", f"-d '{body}'"]
    return escape(" \\\n  ".join([*lines, f'"$TONG{path}"']), quote=False)


def _pre(text: str) -> str:
    """Return preformatted text; it may scroll sideways, by the keyboard too."""
    return f'<pre tabindex="0">{text}</pre>'


def _shown(example: Any) -> str:
    if isinstance(example, str):
        return escape(example, quote=False)
    return _coloured(_json(example))


def _json(example: Any) -> str:
    """Return indented JSON; short values without inner objects are on one line."""

    def one_line(found: re.Match[str]) -> str:
        joined = "{" + re.sub(r"\s*\n\s*", " ", found[1].strip()) + "}"
        indent = found.start() - found.string.rfind("\n", 0, found.start())
        return joined if indent + len(joined) <= LINE_CHARACTERS else found[0]

    return re.sub(r"\{(\s[^{}\[\]]*)\}", one_line, orjson.dumps(example, option=orjson.OPT_INDENT_2).decode())


def _coloured(json_text: str) -> str:
    def span(found: re.Match[str]) -> str:
        kind = "name" if found[2] else "text" if found[1] else "number"
        return f'<span class="j-{kind}">{found[1] or found[3]}</span>{found[2] or ""}'

    # Quotes stay as they are (this is element content), so strings can be recognized after the escape.
    return re.sub(
        r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\b\d+\b|\btrue\b|\bfalse\b|\bnull\b)', span, escape(json_text, quote=False)
    )


def _refusals(calls: list[tuple[str, str, dict[str, Any]]]) -> str:
    answered_by: dict[str, list[tuple[str, str]]] = {code: [] for code in KINDS}
    for method, path, operation in calls:
        for code in _refusals_of(operation):
            answered_by[code].append((f"{method} {path}", operation["operationId"]))
    parts = [
        '<section id="refusals"><h2>Refusals</h2><p>In order of precedence: where several hold, the first is given. '
        "The cashier reads <code>operator_hint</code>; <code>detail</code> is for logs and developers. "
        "<code>type</code> is "
        "<code>https://tong.invalid/problems/</code> and the anchor of the row: an identifier, not an address.</p>"
        '<div class="scroll" role="region" aria-label="Refusals" tabindex="0">'
        '<table class="refusals"><thead><tr><th>Status</th><th>Code</th><th>Retry</th>'
        "<th>What the cashier reads</th></tr></thead><tbody>"
    ]
    for kind in KINDS.values():
        hints = "".join(
            f'<p lang="{tag}"><small>{name}</small>{escape(kind.hints[tag])}</p>' for tag, name in _LANGUAGES
        )
        where = ", ".join(f'<a href="#{escape(anchor)}">{escape(name)}</a>' for name, anchor in answered_by[kind.code])
        if kind.code in ANYWHERE:
            where = ", ".join(filter(None, (where, "any other path" if kind.status == 404 else "every path")))
        parts.append(
            f'<tr id="{_anchor(kind)}"><td>{kind.status}</td><td>{_link(kind)}<p>{escape(kind.title)}</p>'
            f'<p class="where">{where}</p></td>'
            f'<td><code class="tag {kind.retry}">{kind.retry}</code></td><td class="hints">{hints}</td></tr>'
        )
    return "".join((*parts, "</tbody></table></div></section>"))
