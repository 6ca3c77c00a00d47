"""What `tong settle …` does: the settlement of redemption/settlement over one pool, shown as text or JSON.

Every command answers an exit status: 0 done, 1 refused. Progress goes to stderr, so that stdout can be kept.
"""

import asyncio
import datetime
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import orjson
import yaml

from gateway.collector import BATCH_THRESHOLD, keep_what_is_loaded
from gateway.logs import configure_logs
from gateway.settings import Settings
from gateway.settle_reconcile import reconcile
from gateway.statements.request import StatementRequest
from redemption.database import Pool, open_pool
from redemption.domain.clock import system_clock
from redemption.settlement.agreements import AgreementRefused, add_agreement, list_agreements
from redemption.settlement.definitions import AgreementDefinition
from redemption.settlement.disputes import DisputeRefused, Disputes
from redemption.settlement.netting import Payment, business_nets, pair_nets, settle_up
from redemption.settlement.periods import Period, PeriodAltered, PeriodRefused, Periods
from redemption.settlement.production import Production
from redemption.settlement.reading import SettlementReader
from redemption.settlement.statements import StatementRefused, Statements

AGREEMENT_FILE_BYTES_MAX = 64 * 1024

Refused = AgreementRefused | DisputeRefused | PeriodRefused | StatementRefused


def say(text: str) -> None:
    """Progress and refusals, beside what the command answers."""
    sys.stderr.write(f"{text}\n")


def show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """A value as JSON, or the lines that tell it."""
    if as_json:
        sys.stdout.write(orjson.dumps(msgspec.to_builtins(value), option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    for line in lines:
        sys.stdout.write(f"{line}\n")


def refused(result: Refused) -> int:
    """Says why nothing was done."""
    say(f"tong: {result.detail} ({result.reason})")
    return 1


def period_line(period: Period) -> str:
    """One period on one line."""
    number = f"no. {period.number}" if period.number else "no number"
    notes = [f"{period.lines} lines"]
    if period.status == "closed" and period.approved_by:
        notes.append(f"approved by {period.approved_by[0]}")
    if period.open_disputes:
        notes.append(f"{period.open_disputes} open disputes")
    if period.payment_reference:
        notes.append(f"paid with {period.payment_reference}")
    for payment in pair_nets(period.totals):
        notes.append(payment_words(payment))
    if period.sha256:
        notes.append(f"sha256 {period.sha256}")
    return f"{period.period_id}  {number}  {period.status}  {', '.join(notes)}"


def payment_words(payment: Payment) -> str:
    """Who pays whom how much, in minor units."""
    return f"{payment.payer} pays {payment.payee} {payment.amount_minor} {payment.currency} (minor units)"


class SettleCommands:
    """The commands over one pool."""

    def __init__(self, pool: Pool, font_path: Path | None) -> None:
        self._pool = pool
        self._font_path = font_path
        self._periods = Periods(pool, system_clock)
        self._disputes = Disputes(pool, system_clock)
        self._reader = SettlementReader(pool)

    async def run(self, *, follow: bool) -> int:
        """Settles what the ledger has; with `follow` until told to stop."""
        production = Production(self._pool)
        if not follow:
            produced = await production.run(say)
            show(produced, [f"{produced.transactions} ledger transactions, {produced.lines} lines,"
                            f" {produced.exceptions} exceptions"], as_json=False)  # fmt: skip
            return 0
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        keep_what_is_loaded(BATCH_THRESHOLD)
        await production.follow(stop, say)
        return 0

    async def status(self, month: int | None, *, as_json: bool) -> int:
        """How things stand, every period, and the nets of a month."""
        status, periods = await self._reader.status(), await self._periods.listed(month)
        answer: dict[str, object] = {"status": status, "periods": periods}
        lines = [
            f"closed through {status.closed_through or 'no month yet'}; {status.buckets_behind} buckets behind the"
            f" ledger; {status.exceptions} exceptions; {status.open_disputes} open disputes",
            *map(period_line, periods),
        ]
        if month is not None:
            nets = business_nets(pair_nets(total for period in periods for total in period.totals))
            transfers = settle_up(nets)
            answer |= {"nets": nets, "transfers": transfers}
            lines += [
                f"{business} {'receives' if net > 0 else 'pays'} {abs(net)} {currency} (minor units) over all"
                for currency, of_currency in nets.items()
                for business, net in sorted(of_currency.items())
            ]
            lines += [f"or netted over all: {payment_words(payment)}" for payment in transfers]
        show(answer, lines, as_json=as_json)
        return 0

    async def close(self, month: int, by: str, *, as_json: bool) -> int:
        """Settles what is there and closes the month."""
        await Production(self._pool).run(say)
        result = await self._periods.close(month, by, say)
        if isinstance(result, PeriodRefused):
            return refused(result)
        verb = "closed" if result.fresh else "was closed before; every hash was computed again and is the same"
        lines = [*map(period_line, result.periods), f"{month} {verb}"]
        if result.exceptions:
            lines.append(f"{result.exceptions} uses have no line for want of an agreement: see tong settle exceptions")
        show(result, lines, as_json=as_json)
        return 0

    async def approve(self, period_id: str, business: str, by: str) -> int:
        return self._told(await self._periods.approve(period_id, business, by))

    async def pay(self, period_id: str, reference: str, by: str) -> int:
        return self._told(await self._periods.pay(period_id, reference, by))

    def _told(self, result: Period | PeriodRefused) -> int:
        if isinstance(result, PeriodRefused):
            return refused(result)
        show(result, [period_line(result)], as_json=False)
        return 0

    async def exceptions(self, business: str | None, *, as_json: bool) -> int:
        """One on a line; with JSON an object a line, streamed."""
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

    async def lines(self, month: int, business: str | None, counterparty: str | None) -> int:
        """CSV on stdout, streamed."""

        async def write(data: bytes) -> None:
            sys.stdout.buffer.write(data)

        await self._reader.write_csv(write, month, business, counterparty)
        sys.stdout.buffer.flush()
        return 0

    async def statement(self, request: StatementRequest, output: Path) -> int:
        """Writes a statement to a file; what it is goes to stdout."""
        from gateway.statements.writing import write_statement  # noqa: PLC0415 - only this needs typst and xlsxwriter

        result = await write_statement(
            Statements(self._pool, system_clock), request, output, font_path=self._font_path, say=say
        )
        if isinstance(result, StatementRefused):
            return refused(result)
        mark = "PROVISIONAL " if result.provisional else ""
        show(result, [f"{mark}{result.path}  {result.size_bytes} bytes  sha256 {result.sha256}"], as_json=False)
        return 0

    async def reconcile(
        self, business: str, outlet: str | None, day: datetime.date, file: Path, by: str, output: Path | None,
        *, as_json: bool,
    ) -> int:  # fmt: skip
        """Differences are told and make the status 1."""
        return await reconcile(self._pool, business, outlet, day, file, by, output, as_json=as_json)

    async def agreements(self, *, as_json: bool) -> int:
        listed = await list_agreements(self._pool)
        lines = []
        for one in listed:
            terms = one.definition
            lines.append(
                f"{one.agreement_id} v{one.version}{' (superseded)' if one.superseded else ''}  {terms.issuer} ->"
                f" {terms.acceptor}  {terms.benefit or terms.category or terms.instrument}  {terms.rule}"
                f"  from {terms.valid_from}"
            )
        show(listed, lines, as_json=as_json)
        return 0

    async def add_agreement(self, agreement_id: str, file: Path, by: str) -> int:
        """From a YAML or JSON file with one agreement, as under `agreements:` of the group file."""
        data = await asyncio.to_thread(file.read_bytes)
        if len(data) > AGREEMENT_FILE_BYTES_MAX:
            return refused(
                AgreementRefused("not_well_formed", f"{file} is larger than {AGREEMENT_FILE_BYTES_MAX} bytes")
            )
        try:
            definition = msgspec.convert(yaml.safe_load(data), AgreementDefinition)
        except (yaml.YAMLError, msgspec.ValidationError) as fault:
            return refused(AgreementRefused("not_well_formed", f"{file}: {fault}"))
        async with self._pool.acquire() as connection:
            result = await add_agreement(connection, agreement_id, definition, by)
        if isinstance(result, AgreementRefused):
            return refused(result)
        note = "added; `tong settle run` tries the exceptions again" if result.fresh else "in force already"
        show(result, [f"{result.agreement_id} v{result.version} {note}"], as_json=False)
        return 0

    async def open_dispute(self, line_id: str, business: str, reason: str, by: str) -> int:
        result = await self._disputes.open(line_id, business, reason, by)
        if isinstance(result, DisputeRefused):
            return refused(result)
        show(result, [result.dispute_id], as_json=False)
        return 0

    async def resolve_dispute(self, dispute_id: str, amount_minor: int | None, note: str, by: str) -> int:
        result = await self._disputes.resolve(dispute_id, amount_minor, note, by)
        if isinstance(result, DisputeRefused):
            return refused(result)
        show(result, [result.correction_id or "the line stands"], as_json=False)
        return 0

    async def disputes(self, *, resolved: bool, as_json: bool) -> int:
        listed = await self._disputes.listed(resolved=resolved)
        lines = [
            f"{one.dispute_id}  {one.line_id}  by {one.raised_by}: {one.reason}"
            f"{f'  resolved: {one.note}' if one.resolved_at else ''}"
            for one in listed
        ]
        show(listed, lines, as_json=as_json)
        return 0


async def with_settlement(settings: Settings, work: Callable[[SettleCommands], Coroutine[Any, Any, int]]) -> int:
    """Runs one command over a pool of its own. Raises `SettingsRefused` and PostgreSQL's faults."""
    configure_logs(settings.log_level)
    pool = await open_pool(settings.ledger(), size=2, name="tong-settlement")
    try:
        return await work(SettleCommands(pool, settings.font_path))
    except PeriodAltered as fault:
        say(f"tong: {fault}")
        return 1
    finally:
        await pool.close()
