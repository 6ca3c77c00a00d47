"""GET /v1/settlement/statements: a business's statement of a month, of a day or so far, as a file."""

import logging
from contextlib import ExitStack
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.settlement import examples
from gateway.api.settlement.access import caller, known_business
from gateway.api.settlement.operations import BUSINESS, COUNTERPARTY, settlement_operation
from gateway.http.files import FileAnswer, not_modified
from gateway.http.queries import Query
from gateway.openapi.operation import Returns
from gateway.openapi.parameters import one_of, query
from gateway.problems import groups
from gateway.problems.documents import Problem, malformed
from gateway.statements.exports import EXPORT_SECONDS, QUEUE_SECONDS, Exported, ExportFailed, ExportsBusy
from gateway.statements.request import FORMATS, LANGUAGES, MEDIA_TYPES, SECTIONS, StatementRequest
from redemption.settlement.statements import PERIOD_CHARACTERS_MAX, StatementRefused

logger = logging.getLogger(__name__)


@settlement_operation(
    "getStatement",
    "GET",
    "/v1/settlement/statements",
    parameters=(
        BUSINESS,
        query(
            "period",
            "A month, a day, `today`, or the id of a pair's period; absent: the running month so far.",
            {"type": "string", "maxLength": 80},
            "2026-11",
        ),
        COUNTERPARTY,
        query("format", "Absent: json.", one_of(*FORMATS), "xlsx"),
        query("language", "Of names and headings; absent: zh-Hant.", one_of(*LANGUAGES), "zh-Hant"),
        query("section", "Which table a CSV holds; absent: lines.", one_of(*SECTIONS), "lines"),
    ),
    returns=(
        Returns(
            "The file.",
            dict[str, Any],
            examples.STATEMENT,
            other_media={MEDIA_TYPES[form]: "…" for form in FORMATS if form != "json"},
            headers=("ETag", "Content-Disposition"),
        ),
    ),
    refusals=("malformed", *groups.SETTLEMENT),
)
async def download_statement(request: Request) -> Response:
    """A statement as JSON, CSV, XLSX or PDF: of a month, of one day (`2026-11-22`, `today`), of the period of a pair,
    or, without `period`, of the running month so far.

    A statement of an open period is marked provisional, in the file and in its name. The ETag of a closed one is the
    file's SHA-256. The file is made first and then sent, so the first byte comes when the file is complete.
    """
    query = Query(request, "business", "period", "counterparty", "format", "language", "section")
    business, counterparty = query.business(), query.business("counterparty")
    period = query.text(
        "period", f"[0-9a-z._-]{{1,{PERIOD_CHARACTERS_MAX}}}", "a month, a day, `today` or a period's id"
    )
    form, language = query.one_of("format", FORMATS, "json"), query.one_of("language", LANGUAGES, "zh-Hant")
    section = query.one_of("section", SECTIONS, "lines")
    limiter, who = await caller(request)
    wanted = StatementRequest(
        known_business(request, who.acts_for(business, "business")), period, counterparty, form, language, section
    )
    with ExitStack() as stack:
        stack.enter_context(limiter.transfer())
        try:
            made = await limiter.run(limiter.exports.export(wanted), seconds=EXPORT_SECONDS + QUEUE_SECONDS)
        except ExportsBusy as busy:
            raise Problem("overloaded", str(busy)) from None
        except ExportFailed as failed:
            logger.error("a statement could not be made: %s", failed)
            raise Problem("unavailable", "The statement could not be made; what happened was recorded") from None
        if isinstance(made, StatementRefused):
            raise _refused(made)
        return _sent(request, made, stack)


def _sent(request: Request, made: Exported, stack: ExitStack) -> Response:
    """Return the file as an answer. It is unlinked at once, so it is gone after it was sent."""
    file = stack.enter_context(made.path.open("rb"))
    made.remove()
    sha256 = None if made.provisional else made.sha256
    if sha256 is not None and not_modified(request, sha256):
        return Response(status_code=304, headers={"etag": f'"{sha256}"', "cache-control": "private, no-cache"})
    return FileAnswer(file, made.media_type, made.file_name, sha256, stack.pop_all())


def _refused(refusal: StatementRefused) -> Problem:
    if refusal.reason == "not_well_formed":
        return malformed(refusal.detail, "period")
    if refusal.reason == "font_missing":
        return Problem("unavailable", refusal.detail)
    return Problem("not_found", refusal.detail)


ENDPOINTS: Final = (download_statement,)
