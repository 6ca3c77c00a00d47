"""What every problem document must be (RFC 9457 and docs/reference/errors.md)."""

from typing import Any

import httpx2

RETRIES = {"same_key", "new_key", "new_code", "never"}


PROBLEM_JSON = "application/problem+json"


def refusal_code(answer: httpx2.Response) -> str:
    """The code of a refusal; "" where the answer is none. For waiting: what is asked may still be granted."""
    if answer.headers.get("content-type") != PROBLEM_JSON:
        return ""
    return str(answer.json()["code"])


def problem_of(answer: httpx2.Response) -> dict[str, Any]:
    """The document of a refusal, with everything checked that holds for all of them."""
    assert 400 <= answer.status_code < 600, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON, answer.text
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    code = document["code"]
    assert document["type"].startswith("https://")
    assert document["type"].endswith("/problems/" + code.replace("_", "-"))
    for member in ("title", "detail", "operator_hint"):
        assert isinstance(document[member], str), document
        assert document[member].strip(), document
    assert document["retry"] in RETRIES
    assert document["outcome"] in {"not_applied", "unknown"}
    if document["outcome"] == "unknown":
        assert answer.status_code >= 500, "only a fault of ours may say unknown"
        assert document["retry"] == "same_key", "the same key resolves what is unknown"
    if answer.status_code in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1
    return document
