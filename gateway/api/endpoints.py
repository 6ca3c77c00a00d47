"""Every endpoint of the interface but verify, which is in gateway/hot_path/.

The most frequent come first, because the router tries one route after the other, a microsecond each.
"""

from typing import Any, Final

from gateway.api.accruals import endpoints as accruals
from gateway.api.members import codes, devices, events
from gateway.api.members import endpoints as members
from gateway.api.redemptions import endpoints as redemptions
from gateway.api.redemptions import lists, prepare
from gateway.api.settlement import agreements, disputes, periods, reconciliations, statements
from gateway.api.statistics import endpoints as statistics
from gateway.api.system import group, health, reference, terminal

ENDPOINTS: Final[tuple[Any, ...]] = (
    *codes.ENDPOINTS,
    *prepare.ENDPOINTS,
    *lists.ENDPOINTS,
    *redemptions.ENDPOINTS,
    *accruals.ENDPOINTS,
    *members.ENDPOINTS,
    *events.ENDPOINTS,
    *devices.ENDPOINTS,
    *statistics.ENDPOINTS,
    *terminal.ENDPOINTS,
    *group.ENDPOINTS,
    *health.ENDPOINTS,
    *reference.ENDPOINTS,
    *agreements.ENDPOINTS,
    *periods.ENDPOINTS,
    *statements.ENDPOINTS,
    *disputes.ENDPOINTS,
    *reconciliations.ENDPOINTS,
)
