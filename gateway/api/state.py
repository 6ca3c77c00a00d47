"""The parts of a worker, composed once by the lifespan and handed to every endpoint."""

from dataclasses import dataclass, field

from gateway.api.settlement.limiter import SettlementLimiter
from gateway.api.statistics.feed import OperationsFeed
from gateway.auth.authentication import KeyAuthenticator
from gateway.live.parts import LiveParts
from gateway.observability.hot_store_health import HotStoreHealth
from gateway.observability.metrics import Metrics
from gateway.settings import Settings
from redemption.accruals import Accruals
from redemption.call_rates import CallRates
from redemption.cancellation import Cancellations
from redemption.configuration.current import ConfigurationFollower
from redemption.configuration.display_names import DisplayNames
from redemption.domain.clock import Clock
from redemption.domain.store_warnings import ConfigurationWarning
from redemption.hot.connection import HotConnection
from redemption.listing import RedemptionLists
from redemption.memberships import Memberships
from redemption.service import Redemptions
from tokens.access import AccessTokenVerifier
from tokens.codec import CodeIssuer, CodeReader
from tokens.keyring import KeyRingFile


@dataclass(slots=True)
class State:
    """The parts of one gateway worker. `draining` is set when it begins to stop: readiness then answers 503."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    hot: HotConnection
    configuration: ConfigurationFollower
    authenticator: KeyAuthenticator
    members: AccessTokenVerifier
    key_ring: KeyRingFile
    issuer: CodeIssuer
    reader: CodeReader
    redemptions: Redemptions
    cancellations: Cancellations
    memberships: Memberships
    accruals: Accruals
    rates: CallRates
    lists: RedemptionLists
    settlement: SettlementLimiter
    names: DisplayNames
    watch: HotStoreHealth
    live: LiveParts
    feed: OperationsFeed
    weaknesses: list[ConfigurationWarning] = field(default_factory=list)
    frozen: dict[int, str] = field(default_factory=dict)
    """Buckets in which no value moves until a rebuild, and why; as of the last second."""
    members_frozen: bool = False
    """Whether every member is in a frozen bucket; as of the last change of `frozen`."""
    draining: bool = False

    def drain(self) -> None:
        """Begin to stop: readiness answers 503 and streams end."""
        self.draining = True
        self.live.drain()
