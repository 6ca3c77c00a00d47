"""The commands of `tong settle …`: settlement over one pool, shown as text or JSON.

Every command answers an exit status: 0 done, 1 refused. Progress goes to stderr, so that stdout can be kept.
"""

import asyncio
import datetime
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import msgspec
import orjson

from gateway.administration.reconciliation import reconcile
from gateway.formats.printing import say, show, table
from gateway.formats.spreadsheets import csv_bytes
from gateway.observability.logs import configure_logs
from gateway.problems.amounts import money
from gateway.processes.closing import closing
from gateway.settings import Settings
from gateway.statements.request import StatementRequest
from redemption.configuration.strict_text import DocumentRefused, read_json, read_yaml
from redemption.database import Pool, open_pool
from redemption.domain.clock import system_clock
from redemption.settlement.agreements import AgreementRefused, add_agreement, list_agreements
from redemption.settlement.definitions import AgreementDefinition
from redemption.settlement.disputes import DisputeRefused, Disputes
from redemption.settlement.netting import Payment, business_nets, pair_nets, settle_up
from redemption.settlement.periods import Period, PeriodRefused, Periods
from redemption.settlement.production import Production
from redemption.settlement.reading import SettlementReader
from redemption.settlement.statements import StatementRefused, Statements

AGREEMENT_FILE_BYTES_MAX = 64 * 1024
LINES_AT_ONCE = 1_000
LINE_COLUMNS = (
    *("line_id", "kind", "ledger_kind", "subject_id", "issuer", "acceptor", "asset"),
    *("units", "face_value_minor", "amount_minor", "tax_minor", "currency"),
    *("agreement_id", "agreement_version", "reference", "belongs_to"),
    *("outlet", "bill_reference", "occurred_at", "local_day", "period_month"),
)
"""The columns of `tong settle lines`, fields of a `Line`."""

Refused = AgreementRefused | DisputeRefused | PeriodRefused | StatementRefused


def refused(result: Refused) -> int:
    """Print why nothing was done and return the exit status."""
    say(f"tong: {result.detail} ({result.reason})")
    return 1


def is_refused(found: object) -> TypeGuard[Refused]:
    """Return whether a plan is a refusal."""
    return isinstance(found, Refused)


def period_table(periods: Iterable[Period]) -> list[str]:
    """Return a header and a line for each period: its state, and who pays whom."""
    header = ("period", "no.", "status", "lines", "who pays", "whom", "amount", "notes", "sha256")
    rows = []
    for period in periods:
        notes = []
        if period.status == "closed" and period.approved_by:
            notes.append(f"approved by {period.approved_by[0]}")
        if period.open_disputes:
            notes.append(f"{period.open_disputes} open disputes")
        if period.payment_reference:
            notes.append(f"paid with {period.payment_reference}")
        payments = pair_nets(period.totals)
        for number, payment in enumerate(payments or [None]):
            first = number == 0
            rows.append(
                (
                    period.period_id if first else "",
                    str(period.number) if first and period.number else "",
                    period.status if first else "",
                    str(period.lines) if first else "",
                    *(("", "", "") if payment is None else _payment_cells(payment)),
                    ", ".join(notes) if first else "",
                    period.sha256 or "" if first else "",
                )
            )
    return table(header, rows)


def _payment_cells(payment: Payment) -> tuple[str, str, str]:
    return payment.payer, payment.payee, money(payment.amount_minor, payment.currency)


@dataclass(frozen=True, slots=True)
class ClosePlan:
    """The changes that closing a month makes.

    `closed`: it was closed before, closing again computes its hashes again.
    """

    month: int
    closed: bool
    lines: int
    periods: tuple[Period, ...]
    exceptions: int
    buckets_behind: int

    def text(self) -> list[str]:
        """Return the plan for a person."""
        if self.closed:
            return [f"{self.month} is closed; its hashes would be computed again", *period_table(self.periods)]
        text = [
            f"{self.month}: {self.lines} lines in {len(self.periods)} periods are frozen, numbered and hashed",
            *period_table(self.periods),
        ]
        if self.buckets_behind:
            text.append(
                f"{self.buckets_behind} buckets are behind the ledger; they are settled first, which adds lines"
            )
        if self.exceptions:
            text.append(f"{self.exceptions} uses have no line for want of an agreement and will be late")
        return text


class SettleCommands:
    """The commands over one pool."""

    def __init__(self, pool: Pool, font_path: Path | None) -> None:
        self._pool = pool
        self._font_path = font_path
        self._periods = Periods(pool, system_clock)
        self._disputes = Disputes(pool, system_clock)
        self._reader = SettlementReader(pool)

    async def run(self, *, as_json: bool) -> int:
        """Settle what the ledger has."""
        produced = await Production(self._pool).run(say)
        text = f"{produced.transactions} ledger transactions, {produced.lines} lines, {produced.exceptions} exceptions"
        show(produced, [text], as_json=as_json)
        return 0

    async def status(self, month: int | None, *, as_json: bool) -> int:
        """Show the state of settlement, every period, and the nets of a month."""
        status, periods = await self._reader.status(), await self._periods.listed(month)
        answer: dict[str, object] = {"status": status, "periods": periods}
        lines = [
            f"closed through {status.closed_through or 'no month yet'}; {status.buckets_behind} buckets behind the"
            f" ledger; {status.exceptions} exceptions; {status.open_disputes} open disputes",
            *period_table(periods),
        ]
        if month is not None:
            nets = business_nets(pair_nets(total for period in periods for total in period.totals))
            transfers = settle_up(nets)
            answer |= {"nets": nets, "transfers": transfers}
            lines += table(
                ("over all", "receives or pays", "amount"),
                [
                    (business, "receives" if net > 0 else "pays", money(abs(net), currency))
                    for currency, of_currency in nets.items()
                    for business, net in sorted(of_currency.items())
                ],
            )
            lines += table(("netted: who pays", "whom", "amount"), [_payment_cells(payment) for payment in transfers])
        show(answer, lines, as_json=as_json)
        return 0

    async def plan_close(self, month: int) -> ClosePlan | PeriodRefused:
        """Return what closing a month would do, or why it cannot be closed. Changes nothing."""
        refusal = await self._periods.refusal_to_close(month)
        if refusal is not None:
            return refusal
        status, periods = await self._reader.status(), await self._periods.listed(month)
        closed = status.closed_through is not None and month <= status.closed_through
        lines = sum(period.lines for period in periods)
        return ClosePlan(month, closed, lines, tuple(periods), status.exceptions, status.buckets_behind)

    async def period(self, period_id: str) -> Period | PeriodRefused:
        """Return a period as it is now."""
        found = await self._periods.get(period_id)
        return found or PeriodRefused("not_found", f"there is no period {period_id}")

    async def close(self, month: int, by: str, *, as_json: bool) -> int:
        """Settle what is there and close the month."""
        await Production(self._pool).run(say)
        result = await self._periods.close(month, by, say)
        if isinstance(result, PeriodRefused):
            return refused(result)
        verb = "closed" if result.fresh else "was closed before; every hash was computed again and is the same"
        lines = [*period_table(result.periods), f"{month} {verb}"]
        if result.exceptions:
            lines.append(f"{result.exceptions} uses have no line for want of an agreement: see tong settle exceptions")
        show(result, lines, as_json=as_json)
        return 0

    async def approve(self, period_id: str, business: str, by: str, *, as_json: bool) -> int:
        return self._show_period(await self._periods.approve(period_id, business, by), as_json=as_json)

    async def pay(self, period_id: str, reference: str, by: str, *, as_json: bool) -> int:
        return self._show_period(await self._periods.pay(period_id, reference, by), as_json=as_json)

    def _show_period(self, result: Period | PeriodRefused, *, as_json: bool) -> int:
        if isinstance(result, PeriodRefused):
            return refused(result)
        show(result, period_table([result]), as_json=as_json)
        return 0

    async def exceptions(self, business: str | None, *, as_json: bool) -> int:
        """Print the exceptions, one on a line; with JSON an object a line, streamed."""
        count = 0
        async with aclosing(self._reader.exceptions(business)) as stream:
            async for use, reason in stream:
                count += 1
                if as_json:
                    sys.stdout.write(orjson.dumps({**use._asdict(), "reason": reason}).decode() + "\n")
                else:
                    sys.stdout.write(
                        f"{use.local_day}  {use.subject_id}  {use.issuer} -> {use.acceptor}  {use.units} {use.asset}"
                        f"  {reason}\n"
                    )
        say(f"{count} exceptions")
        return 0

    async def lines(self, month: int, business: str | None, counterparty: str | None, *, as_json: bool) -> int:
        """Write the lines to stdout, streamed: as CSV, or as a JSON object a line."""
        batch: list[list[object]] = [] if as_json else [list(LINE_COLUMNS)]
        async with aclosing(self._reader.lines(month, business, counterparty)) as stream:
            async for line in stream:
                if as_json:
                    sys.stdout.write(orjson.dumps(line._asdict(), default=str).decode() + "\n")
                    continue
                batch.append([getattr(line, name) for name in LINE_COLUMNS])
                if len(batch) >= LINES_AT_ONCE:
                    sys.stdout.buffer.write(csv_bytes(batch, line_end="\n"))
                    batch.clear()
        sys.stdout.flush()
        sys.stdout.buffer.write(csv_bytes(batch, line_end="\n"))
        sys.stdout.buffer.flush()
        return 0

    async def statement(self, request: StatementRequest, output: Path, *, as_json: bool) -> int:
        """Write a statement to a file and print a description of it to stdout."""
        from gateway.statements.writing import write_statement  # noqa: PLC0415 - only this needs typst and xlsxwriter

        result = await write_statement(
            Statements(self._pool, system_clock), request, output, font_path=self._font_path, say=say
        )
        if isinstance(result, StatementRefused):
            return refused(result)
        mark = "PROVISIONAL " if result.provisional else ""
        text = [f"{mark}{result.path}  {result.size_bytes} bytes  sha256 {result.sha256}"]
        show({**asdict(result), "path": str(result.path)}, text, as_json=as_json)
        return 0

    async def reconcile(
        self,
        business: str,
        outlet: str | None,
        day: datetime.date,
        file: Path,
        by: str,
        output: Path | None,
        *,
        as_json: bool,
    ) -> int:
        """Compare a till's list; the status is 1 where there are differences."""
        return await reconcile(self._pool, business, outlet, day, file, by, output, as_json=as_json)

    async def agreements(self, *, as_json: bool) -> int:
        listed = await list_agreements(self._pool)
        lines = table(
            ("agreement", "version", "issuer", "acceptor", "of", "rule", "from", "state"),
            [
                (
                    one.agreement_id,
                    f"v{one.version}",
                    one.definition.issuer,
                    one.definition.acceptor,
                    one.definition.benefit or one.definition.category or one.definition.instrument,
                    str(one.definition.rule),
                    str(one.definition.valid_from),
                    "superseded" if one.superseded else "",
                )
                for one in listed
            ],
        )
        show(listed, lines, as_json=as_json)
        return 0

    async def add_agreement(self, agreement_id: str, file: Path, by: str, *, as_json: bool) -> int:
        """Add an agreement from a YAML or JSON file with one, as under `agreements:` of the group file."""
        data = await asyncio.to_thread(file.read_bytes)
        if len(data) > AGREEMENT_FILE_BYTES_MAX:
            return refused(
                AgreementRefused("not_well_formed", f"{file} is larger than {AGREEMENT_FILE_BYTES_MAX} bytes")
            )
        try:
            document = read_json(data) if file.suffix == ".json" else read_yaml(data)
            if document.duplicates:
                return refused(AgreementRefused("not_well_formed", f"{file}: {document.duplicates[0]}"))
            definition = msgspec.convert(document.value, AgreementDefinition)
        except (DocumentRefused, msgspec.ValidationError) as fault:
            return refused(AgreementRefused("not_well_formed", f"{file}: {fault}"))
        async with self._pool.acquire() as connection:
            result = await add_agreement(connection, agreement_id, definition, by)
        if isinstance(result, AgreementRefused):
            return refused(result)
        note = "added; `tong settle run` tries the exceptions again" if result.fresh else "in force already"
        show(result, [f"{result.agreement_id} v{result.version} {note}"], as_json=as_json)
        return 0

    async def open_dispute(self, line_id: str, business: str, reason: str, by: str, *, as_json: bool) -> int:
        result = await self._disputes.open(line_id, business, reason, by)
        if isinstance(result, DisputeRefused):
            return refused(result)
        show(result, [result.dispute_id], as_json=as_json)
        return 0

    async def resolve_dispute(
        self, dispute_id: str, amount_minor: int | None, note: str, by: str, *, as_json: bool
    ) -> int:
        result = await self._disputes.resolve(dispute_id, amount_minor, note, by)
        if isinstance(result, DisputeRefused):
            return refused(result)
        show(result, [result.correction_id or "the line is confirmed"], as_json=as_json)
        return 0

    async def disputes(self, *, resolved: bool, as_json: bool) -> int:
        listed = await self._disputes.listed(resolved=resolved)
        lines = table(
            ("dispute", "line", "by", "reason", "resolved"),
            [
                (one.dispute_id, one.line_id, one.raised_by, one.reason, (one.note or "") if one.resolved_at else "")
                for one in listed
            ],
        )
        show(listed, lines, as_json=as_json)
        return 0


async def with_settlement(settings: Settings, work: Callable[[SettleCommands], Coroutine[Any, Any, Any]]) -> Any:
    """Run one command over a pool of its own. Raises `SettingsRefused`, `PeriodAltered` and PostgreSQL's faults."""
    configure_logs(settings.log_level)
    pool = await open_pool(settings.ledger(), size=2, name="tong-settlement")
    try:
        return await work(SettleCommands(pool, settings.font_path))
    finally:
        await closing("the pool", pool.close)()
