"""The paths of settlement and reconciliation."""

from typing import Final

from starlette.routing import Route

from gateway.api.settlement import agreements as settlement_agreements
from gateway.api.settlement import disputes as settlement_disputes
from gateway.api.settlement import periods as settlement_periods
from gateway.api.settlement import reconciliations as settlement_reconciliations
from gateway.api.settlement import statements as settlement_statements

BASE: Final = "/v1/settlement"


def settlement_routes() -> list[Route]:
    """The routes; what each takes and answers is in gateway/api/settlement/calls.py."""
    agreements, disputes, periods = settlement_agreements, settlement_disputes, settlement_periods
    reconciliations, statements = settlement_reconciliations, settlement_statements
    agreement, period = f"{BASE}/agreements/{{agreement_id}}", f"{BASE}/periods/{{period}}"
    dispute, reconciliation = f"{BASE}/disputes/{{dispute_id}}", f"{BASE}/reconciliations/{{reconciliation_id}}"
    return [
        Route(f"{BASE}/agreements", agreements.list_agreements, methods=["GET"]),
        Route(agreement, agreements.read_agreement, methods=["GET"]),
        Route(f"{agreement}/versions", agreements.add_version, methods=["POST"]),
        Route(f"{BASE}/periods", periods.list_periods, methods=["GET"]),
        Route(period, periods.read_period, methods=["GET"]),
        Route(f"{period}/lines", periods.list_lines, methods=["GET"]),
        Route(f"{period}/export", periods.export_period, methods=["GET"]),
        Route(f"{period}/approve", periods.approve_period, methods=["POST"]),
        Route(f"{period}/pay", periods.pay_period, methods=["POST"]),
        Route(f"{BASE}/months/{{month}}/close", periods.close_month, methods=["POST"]),
        Route(f"{BASE}/nets", periods.read_nets, methods=["GET"]),
        Route(f"{BASE}/statements", statements.download_statement, methods=["GET"]),
        Route(f"{BASE}/exceptions", disputes.list_exceptions, methods=["GET"]),
        Route(f"{BASE}/disputes", disputes.list_disputes, methods=["GET"]),
        Route(dispute, disputes.read_dispute, methods=["GET"]),
        Route(f"{dispute}/resolve", disputes.resolve_dispute, methods=["POST"]),
        Route(f"{BASE}/lines/{{line_id}}/disputes", disputes.open_dispute, methods=["POST"]),
        Route(f"{BASE}/reconciliations", reconciliations.list_reconciliations, methods=["GET"]),
        Route(f"{BASE}/reconciliations", reconciliations.reconcile, methods=["POST"]),
        Route(reconciliation, reconciliations.read_reconciliation, methods=["GET"]),
        Route(f"{reconciliation}/bills", reconciliations.list_bills, methods=["GET"]),
        Route(f"{reconciliation}/file", reconciliations.download_reconciliation, methods=["GET"]),
    ]
