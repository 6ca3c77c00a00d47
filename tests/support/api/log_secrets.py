"""Every secret that a stack had, to be looked for in what the stack wrote: keys, tokens, codes, digits, passwords.

What a test makes itself is remembered as it goes over the wire (`remember`, by the clients of
tests/support/api/client.py); what the stack made lies in its home and in demo.json.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

CHARACTERS_MIN = 8
"""Shorter ones would be found by chance, and there are none."""
SECRET_FILES = (
    "seal-key",
    "valkey/password",
    "valkey/users/*",
    "postgres/password",
    "postgres/roles/*",
)
_NAMED_SECRET = re.compile(r"secret|private|api_key|access_token|^d$|^k$", re.IGNORECASE)


class Remembered:
    """Secrets by what they are. `hooks` make an HTTP client remember what it sends and gets."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def add(self, what: str, secret: str) -> None:
        if len(secret) >= CHARACTERS_MIN:
            self.found.setdefault(secret, what)

    @property
    def hooks(self) -> dict[str, list[Any]]:
        return {"request": [self._sent], "response": [self._answered]}

    async def _sent(self, request: httpx2.Request) -> None:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            self.add("a credential that was sent", credential)
        if "json" in request.headers.get("content-type", ""):
            try:
                content = json.loads(request.content)
            except (ValueError, RecursionError, httpx2.StreamError):
                return  # what is no JSON, or comes in pieces, names no code
            if isinstance(content, dict) and isinstance(content.get("code"), str):
                self.add("a code that was scanned", content["code"].strip())

    async def _answered(self, response: httpx2.Response) -> None:
        if response.request.url.path != "/v1/me/codes" or not response.is_success:
            return
        for entry in json.loads(await response.aread())["codes"]:
            self.add("a code", entry["code"])
            self.add("digits", entry["digits"])


def secrets_of_home(home: Path) -> dict[str, str]:
    """The secrets in the home of a stack, and where each lies."""
    found: dict[str, str] = {}
    for pattern in SECRET_FILES:
        for path in home.glob(pattern):
            found[path.read_text().strip()] = str(path.relative_to(home))
    for path in (home / "demo.json", home / "demo-keys.json", home / "code-keys.json", *home.glob("identity/*")):
        if path.exists() and path.suffix == ".json":
            strings = _strings(json.loads(path.read_bytes()))
            found = {secret: f"{path.relative_to(home)} {name}" for name, secret in strings} | found
    return {secret: what for secret, what in found.items() if len(secret) >= CHARACTERS_MIN}


def _strings(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Strings whose name says that they are secret, and the passwords in addresses."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in _strings(part, key)]
    if isinstance(value, list):
        return [found for part in value for found in _strings(part, name)]
    if not isinstance(value, str):
        return []
    if "://" in value:
        return [(name, password)] if (password := urlsplit(value).password) else []
    return [(name, value)] if _NAMED_SECRET.search(name) or value.startswith("tong_") else []


def leaked(text: str, secrets: dict[str, str]) -> list[str]:
    """What of the secrets stands in the text, by their names and never by themselves."""
    return sorted({what for secret, what in secrets.items() if secret in text})
