"""GET /app/, /scanner/, /ops/ and their files: the pages that people use."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.pages.site import BUILT, File, PagesMissing, Site, respond
from gateway.problems.documents import Problem


async def page(request: Request) -> Response:
    """Return a page or one of its own files (icons, the service worker)."""
    return _answer(request, look_again=True)


async def asset(request: Request) -> Response:
    """Return a file that the pages share, whose name holds a hash of its content."""
    return _answer(request, look_again=False)


async def to_folder(request: Request) -> Response:
    """Redirect a page's address without its slash to the one with it."""
    return RedirectResponse(f"{request.url.path}/", status_code=308)


def _answer(request: Request, *, look_again: bool) -> Response:
    kept = request.app.state
    if not hasattr(kept, "site") or (look_again and kept.site.outdated):
        kept.site = Site(BUILT)
    try:
        found: File | None = kept.site.find(request.url.path.removeprefix("/"))
    except PagesMissing as missing:
        raise Problem("unavailable", str(missing)) from None
    if found is None:
        raise Problem("not_found", "There is no such file among the pages")
    return respond(found, request)
