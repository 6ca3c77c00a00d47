"""Settlement's values as the types of gateway/api/settlement/schemas.py."""

import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.api.settlement.schemas import (
    AgreementVersion,
    BusinessNet,
    DisputeAnswer,
    ExceptionAnswer,
    LineAnswer,
    NetsAnswer,
    Payment,
    PeriodAnswer,
    PeriodTotal,
)
from gateway.http.responses import Headers, answer
from redemption.settlement import netting
from redemption.settlement.agreements import ListedAgreement
from redemption.settlement.browsing import DisputeOfLine
from redemption.settlement.lines import Line, Unsettled
from redemption.settlement.periods import Period
from redemption.settlement.reconciliation import instant

_encode = msgspec.json.Encoder().encode


def answered(value: Any, status: int = 200, headers: Headers = ()) -> Response:
    """A value of the wire as an answer."""
    return answer(status, _encode(value), headers)


def moment(value: datetime.datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return str(instant(value))


def month_text(month: int) -> str:
    """202611 is 2026-11."""
    return f"{month // 100:04d}-{month % 100:02d}"


def agreement_version(listed: ListedAgreement) -> AgreementVersion:
    return AgreementVersion(
        listed.agreement_id, listed.version, listed.definition, listed.superseded, listed.added_by,
        moment(listed.added_at),
    )  # fmt: skip


def period_answer(period: Period) -> PeriodAnswer:
    businesses = [period.party_low, period.party_high]
    return PeriodAnswer(
        period_id=period.period_id,
        month=month_text(period.month),
        businesses=businesses if businesses[0] != businesses[1] else businesses[:1],
        status=period.status,
        number=period.number,
        sha256=period.sha256,
        lines=period.lines,
        totals=[
            PeriodTotal(
                total.issuer, total.acceptor, total.asset, total.currency, total.lines, total.units,
                total.face_value_minor, total.amount_minor, total.tax_minor,
            )
            for total in period.totals
        ],
        nets=payments(netting.pair_nets(period.totals)),
        closed_by=period.closed_by,
        closed_at=instant(period.closed_at),
        approved_by=list(period.approved_by),
        payment_reference=period.payment_reference,
        open_disputes=period.open_disputes,
    )  # fmt: skip


def payments(found: list[netting.Payment]) -> list[Payment]:
    return [Payment(each.payer, each.payee, each.currency, each.amount_minor) for each in found]


def nets_answer(month: int, *, provisional: bool, totals: list[netting.Total], business: str | None) -> NetsAnswer:
    """All of the group, or what of it a business is a side of."""
    pairs = netting.pair_nets(totals)
    nets = netting.business_nets(pairs)

    def seen(found: list[netting.Payment]) -> list[netting.Payment]:
        return [each for each in found if business is None or business in (each.payer, each.payee)]

    return NetsAnswer(
        month=month_text(month),
        provisional=provisional,
        pairs=payments(seen(pairs)),
        businesses=[
            BusinessNet(name, currency, net)
            for currency, of_currency in sorted(nets.items())
            for name, net in sorted(of_currency.items())
            if business in (None, name)
        ],
        transfers=payments(seen(netting.settle_up(nets))),
    )


def line_answer(line: Line) -> LineAnswer:
    return LineAnswer(
        line.line_id, line.kind, line.ledger_kind, line.subject_id, line.issuer, line.acceptor, line.asset, line.units,
        line.face_value_minor, line.amount_minor, line.tax_minor, line.currency, line.agreement_id,
        line.agreement_version, line.reference, line.belongs_to, line.outlet, line.bill_reference,
        moment(line.occurred_at), line.local_day.isoformat(), month_text(line.period_month),
    )  # fmt: skip


def exception_answer(unsettled: Unsettled) -> ExceptionAnswer:
    use = unsettled.use
    return ExceptionAnswer(
        use.line_id, unsettled.reason, use.ledger_kind, use.subject_id, use.issuer, use.acceptor, use.asset, use.units,
        use.face_value_minor, use.currency, use.outlet, use.bill_reference, moment(use.occurred_at),
        use.local_day.isoformat(),
    )  # fmt: skip


def dispute_answer(found: DisputeOfLine) -> DisputeAnswer:
    dispute = found.dispute
    return DisputeAnswer(
        dispute.dispute_id, dispute.line_id, sorted((found.issuer, found.acceptor)), dispute.raised_by, dispute.reason,
        dispute.opened_by, moment(dispute.opened_at), dispute.correction_id, dispute.note, dispute.resolved_by,
        instant(dispute.resolved_at),
    )  # fmt: skip
