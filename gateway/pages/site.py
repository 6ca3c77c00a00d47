"""The built pages (`python -m gateway.pages.build`) as the gateway hands them out: read once, kept in memory.

Guarantees: only files that the build wrote can be asked for, by a look-up and never by a path on disk; each has a
strong ETag; what carries a hash in its name may be kept for ever, everything else is asked for again; no page runs,
loads or calls anything of another host (its Content-Security-Policy), and only the scanner may use a camera. A rebuild
is noticed at the next request of a page, without a restart.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from redemption.domain.errors import ConfigurationError

BUILT: Final = Path(__file__).with_name("built")
STAMP: Final = "stamp"
"""The file with the hash of the sources, which the build writes last."""
FOLDERS: Final = ("app", "scanner", "ops")
"""Each is a page; the one at the root leads to them."""
FILES_MAX: Final = 400
BYTES_MAX: Final = 16 * 2**20

_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class File:
    """One file in both forms; `gzipped` is None where it does not pay."""

    body: bytes = field(repr=False)
    gzipped: bytes | None = field(repr=False)
    etag: str
    media_type: str
    headers: Mapping[str, str]


class PagesMissing(ConfigurationError):
    """The pages were not built here. The text names the command to run."""


class Site:
    """The files of one build."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = _stamp_of(folder)
        self._files = _read(folder) if self._stamp else {}

    @property
    def outdated(self) -> bool:
        """Return whether the folder holds another build by now. One stat."""
        return _stamp_of(self._folder) != self._stamp

    def find(self, path: str) -> File | None:
        """Return the file at a path of the site without its leading slash; a folder is its page.

        Raises PagesMissing.
        """
        if not self._files:
            raise PagesMissing("The pages are not built here; `make pages` builds them")
        return self._files.get(path + "index.html" if path == "" or path.endswith("/") else path)


def respond(file: File, request: Request) -> Response:
    """Return 200, or 304 where the browser has it already (RFC 9110 §13.1.2)."""
    headers = dict(file.headers)
    asked = request.headers.get("if-none-match", "")
    if file.etag in (each.strip().removeprefix("W/") for each in asked.split(",")[:16]):
        return Response(status_code=304, headers=headers)
    body = file.body
    if file.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = file.gzipped
        headers["content-encoding"] = "gzip"
    return Response(body, media_type=file.media_type, headers=headers)


def _stamp_of(folder: Path) -> int:
    """Return a value that changes with every build; 0 where there is none."""
    try:
        return (folder / STAMP).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read(folder: Path) -> dict[str, File]:
    found: dict[str, File] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        body = path.read_bytes()
        packed = path.with_name(path.name + ".gz")
        gzipped = packed.read_bytes() if packed.exists() else None
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {
            "etag": etag,
            "cache-control": _IMMUTABLE if name.startswith("assets/") else _ASK_AGAIN,
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "vary": "accept-encoding",
        }
        if path.suffix in (".html", ".js"):  # a web worker obeys the policy of its own script
            headers |= _security(name)
        found[name] = File(body, gzipped, etag, media_type, headers)
        total += len(body) + len(gzipped or b"")
        assert len(found) <= FILES_MAX, "more files than a build of the pages has"
        assert total <= BYTES_MAX, "more bytes than a build of the pages has"
    return found


def _security(name: str) -> dict[str, str]:
    """Return the policy of a page: nothing inline, nothing of another host, a camera for the scanner alone."""
    scanner = name.startswith("scanner/")
    script = "'self' 'wasm-unsafe-eval'" if scanner else "'self'"
    policy = (
        f"default-src 'none'; script-src {script}; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    camera = "(self)" if scanner else "()"
    return {
        "content-security-policy": policy,
        "permissions-policy": f"camera={camera}, microphone=(), geolocation=(), payment=(), usb=()",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }
