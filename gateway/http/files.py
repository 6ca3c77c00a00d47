"""Answers that are files: sent from disk, with a file name and, where they no longer change, an ETag.

Guarantees: what a file took (its space, the place in the worker) is given back when it was sent or could not be; a
client that reads too slowly is cut off after DOWNLOAD_SECONDS.
"""

import asyncio
import os
from contextlib import ExitStack
from typing import IO, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CHUNK_BYTES: Final = 64 * 1024
DOWNLOAD_SECONDS: Final = 900.0


def not_modified(request: Request, sha256: str) -> bool:
    """Return whether the client has this file already (RFC 9110 §13.1.2)."""
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return f'"{sha256}"' in given or given == ["*"]


class FileAnswer(Response):
    """An open file as an answer. Closes `held` when it was sent or could not be. `name`: visible ASCII, no quotes."""

    def __init__(self, file: IO[bytes], media_type: str, name: str, sha256: str | None, held: ExitStack) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        headers = {
            "content-length": str(size),
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
            "cache-control": "no-store" if sha256 is None else "private, no-cache",
        }
        if sha256 is not None:
            headers["etag"] = f'"{sha256}"'
        super().__init__(None, 200, headers, media_type)
        self._file = file
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                async with asyncio.timeout(DOWNLOAD_SECONDS):
                    while chunk := await asyncio.to_thread(self._file.read, CHUNK_BYTES):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                return  # the server closes the connection of an answer that is not complete
            await send({"type": "http.response.body", "body": b""})
