"""The composition root of a gateway worker: builds its parts in order and takes them down in order.

Guarantees: a worker serves only with a configuration and a key ring in hand; the hot store may be away at start (the
connection keeps trying, and the worker is not ready). Every part is closed, each within its own time
(gateway/processes/closing.py).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gateway.api.settlement.limiter import POOL_SIZE, SettlementLimiter
from gateway.api.state import State
from gateway.api.statistics.feed import OperationsFeed
from gateway.auth.authentication import KeyAuthenticator
from gateway.live.parts import live_parts
from gateway.observability.hot_store_health import HotStoreHealth, LibraryCheck
from gateway.observability.metrics import Metrics
from gateway.processes.closing import PART_SECONDS, closing, ending
from gateway.settings import DEVELOPMENT_ISSUER, Settings, SettingsRefused
from gateway.statements.exports import StatementExports
from redemption.accruals import Accruals
from redemption.addresses import Addresses
from redemption.call_rates import CallRates
from redemption.cancellation import Cancellations
from redemption.configuration.current import ConfigurationFollower
from redemption.configuration.display_names import DisplayNames
from redemption.database import open_pool
from redemption.domain.clock import Clock
from redemption.domain.limits import HOT_IN_FLIGHT_MAX
from redemption.domain.store_warnings import ConfigurationWarning, ServerUnusable
from redemption.hot import keys
from redemption.hot.address import Address
from redemption.hot.connection import HotConnection
from redemption.hot.faults import HotStoreFault
from redemption.hot.library import assemble
from redemption.hot.server_checks import UNKNOWN, check_hot_store
from redemption.hot.store import HotStore
from redemption.ledger.reader import LedgerReader
from redemption.ledger.server_checks import check_ledger_store
from redemption.listing import RedemptionLists
from redemption.memberships import Memberships
from redemption.service import Redemptions
from tokens.access import AccessTokenVerifier, KeySource
from tokens.codec import CodeIssuer, CodeReader
from tokens.development_issuer import DevelopmentIssuer
from tokens.errors import KeyRingUnusable
from tokens.jwks_source import FileKeySource, HttpsKeySource
from tokens.keyring import KeyRingFile, RingRefresh

HOUSEKEEPING_SECONDS = 1.0
NOTE_SECONDS = 60.0
"""The time between two notes of used keys: one write a minute and worker, under any load."""
FLUSH_SECONDS = 0.1

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[State]:
    """Run a whole worker, from connections to housekeeping. Raises `SettingsRefused` and the stores' faults."""
    valkey_url, postgres_dsn = settings.stores()
    async with AsyncExitStack() as stack:
        library = assemble()
        metrics = Metrics()
        key_ring = KeyRingFile.open_or_create(
            settings.code_keys_path(), settings.environment, settings.code_algorithm, clock()
        )
        pool = await open_pool(postgres_dsn, size=4, name="tong-gateway")
        stack.push_async_callback(closing("the pool", pool.close))
        configuration = ConfigurationFollower(pool, clock)
        await configuration.start()
        stack.push_async_callback(closing("the configuration", configuration.stop))
        if configuration.current.buckets != settings.buckets:
            raise SettingsRefused(
                f"TONG_BUCKETS is {settings.buckets}, the installation has {configuration.current.buckets}"
            )
        hot = _hot_connection(valkey_url, check := LibraryCheck(library))
        await hot.start()
        stack.push_async_callback(closing("the hot store's connection", lambda: hot.close(PART_SECONDS / 2)))
        frozen: dict[int, str] = {}
        live = await stack.enter_async_context(
            live_parts(
                valkey_url=valkey_url,
                pool=pool,
                hot=hot,
                metrics=metrics,
                clock=clock,
                standing=lambda: (configuration.stale_seconds, sorted(frozen)),
            )
        )
        store = HotStore(hot, library)
        addresses = Addresses(lambda: configuration.current, clock, cluster=settings.valkey_cluster)
        # Statements have a pool of their own, so that a slow one takes no connection from scans.
        settlement_pool = await open_pool(postgres_dsn, size=POOL_SIZE, name="tong-gateway-settlement")
        stack.push_async_callback(closing("the settlement's pool", settlement_pool.close))
        exports = StatementExports(settings, settlement_pool, clock)
        stack.push_async_callback(closing("statements that are being written", exports.close))
        state = State(
            settings=settings,
            clock=clock,
            metrics=metrics,
            hot=hot,
            configuration=configuration,
            authenticator=KeyAuthenticator(configuration, settings.environment, clock),
            members=member_verifier(settings, clock),
            key_ring=key_ring,
            issuer=CodeIssuer(key_ring.ring, settings.code_algorithm, clock),
            reader=CodeReader(key_ring.ring, live.revoked.numbers),
            redemptions=Redemptions(store, addresses),
            cancellations=Cancellations(store, addresses),
            memberships=Memberships(store, addresses),
            accruals=Accruals(store, addresses),
            rates=CallRates(store, addresses),
            lists=RedemptionLists(LedgerReader(pool), live.tail),
            settlement=SettlementLimiter(settlement_pool, clock, exports),
            names=DisplayNames(pool, lambda: configuration.current.version),
            watch=HotStoreHealth(hot, library, settings.buckets, settings.backlog_max, check),
            live=live,
            feed=OperationsFeed(live.figures, live.stats_store, hot, clock),
            frozen=frozen,
            weaknesses=await weaknesses(settings),
        )
        live.begin()
        _begin_tasks(state, stack)
        yield state
        state.draining = True


def _begin_tasks(state: State, stack: AsyncExitStack) -> None:
    """Start what a worker does by itself, and end it with the worker's parts."""
    housekeeping = asyncio.create_task(_keep_house(state), name="housekeeping")
    stack.push_async_callback(ending("housekeeping", housekeeping))
    flushing = asyncio.create_task(_flush_counts(state), name="flush counts")
    stack.callback(state.metrics.flush)
    stack.push_async_callback(ending("the flushing of counts", flushing))


def _hot_connection(valkey_url: str, check: LibraryCheck) -> HotConnection:
    """Return the connection of the hot path. It lets calls through only where the library of this version is loaded."""
    return HotConnection(
        Address.from_url(valkey_url),
        in_flight_max=HOT_IN_FLIGHT_MAX,
        name="tong-gateway",
        on_connect=check,
    )


def member_verifier(settings: Settings, clock: Clock) -> AccessTokenVerifier:
    """Return the verifier of members' access tokens.

    The development issuer is refused outside the development stack.
    """
    if settings.member_issuer is None and settings.development:
        development = development_issuer(settings, clock)
        return AccessTokenVerifier(
            issuer=DEVELOPMENT_ISSUER,
            audience=settings.member_audience,
            algorithms=("EdDSA",),
            source=FileKeySource(development.jwks_path),
            clock=clock,
        )
    if settings.member_issuer is None or settings.member_jwks is None:
        raise SettingsRefused(
            "TONG_MEMBER_ISSUER and TONG_MEMBER_JWKS are needed: whose access tokens members carry, and where its "
            "public keys are"
        )
    if settings.member_issuer == DEVELOPMENT_ISSUER and not settings.development:
        raise SettingsRefused("the development issuer signs for anybody; it is only for `tong up`")
    source: KeySource
    if settings.member_jwks.startswith("https://"):
        source = HttpsKeySource(settings.member_jwks)
    else:
        source = FileKeySource(Path(settings.member_jwks))
    return AccessTokenVerifier(
        issuer=settings.member_issuer,
        audience=settings.member_audience,
        algorithms=settings.member_algorithms,
        source=source,
        clock=clock,
    )


def development_issuer(settings: Settings, clock: Clock) -> DevelopmentIssuer:
    """Return the issuer that replaces an identity provider in the development stack."""
    folder = settings.identity_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DevelopmentIssuer(folder, DEVELOPMENT_ISSUER, settings.member_audience, clock)


async def weaknesses(settings: Settings) -> list[ConfigurationWarning]:
    """Return the weaknesses of the given servers; a server that does not answer now is checked by readiness."""
    valkey_url, postgres_dsn = settings.stores()
    found: list[ConfigurationWarning] = []
    try:
        hot = await check_hot_store(valkey_url, cluster=settings.valkey_cluster)
        # A worker's own user may not read the server's settings: then an operator has checked them before.
        found += [weakness for weakness in hot if not (settings.valkey_checked and weakness.found == UNKNOWN)]
    except ServerUnusable as fault:
        logger.warning("the hot store could not be checked: %s", fault)
    found += await check_ledger_store(postgres_dsn)
    for weakness in found:
        logger.warning("weaker than promised: %s", weakness)
    return found


async def _look_for_frozen(state: State) -> None:
    """Return the buckets that are frozen now and log the changes. Without the hot store the last result stays."""
    names = [keys.frozen(bucket) for bucket in range(state.settings.buckets)]
    try:
        found = await state.hot.execute("MGET", *names, deadline_seconds=1.0)
    except HotStoreFault:
        return
    assert isinstance(found, list)
    frozen = {bucket: why.decode(errors="replace") for bucket, why in enumerate(found) if isinstance(why, bytes)}
    for bucket in sorted(frozen.keys() - state.frozen.keys()):
        logger.error("bucket %d is frozen until `tong rebuild`: %s", bucket, frozen[bucket])
    for bucket in sorted(state.frozen.keys() - frozen.keys()):
        logger.warning("bucket %d is no longer frozen", bucket)
    if frozen.keys() != state.frozen.keys():
        state.members_frozen = await _all_members_are_in(frozen, state)
    state.frozen.clear()
    state.frozen.update(frozen)
    state.metrics.frozen_buckets.set(len(frozen))


async def _all_members_are_in(frozen: Collection[int], state: State) -> bool:
    """Return whether no member is in another bucket.

    Where PostgreSQL does not answer, only if every bucket is frozen.
    """
    if not frozen or len(frozen) == state.settings.buckets:
        return bool(frozen)
    elsewhere = await state.configuration.has_member_outside(frozen)
    return elsewhere is False


async def _flush_counts(state: State) -> None:
    """Write this worker's counts to where every worker's /metrics finds them."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        state.metrics.flush()


async def _keep_house(state: State) -> None:
    """Keep house: each second follow the key ring's file and export the worker's state; now and then note used keys."""
    broken: str | None = None
    noted_at = state.clock()
    while True:
        looked = state.key_ring.refresh()
        if looked is RingRefresh.BROKEN and state.key_ring.fault != broken:
            logger.error("the ring of code keys cannot be read, the old one stays: %s", state.key_ring.fault)
        broken = state.key_ring.fault
        if looked is RingRefresh.RELOADED:
            try:
                state.issuer.use(state.key_ring.ring)
            except KeyRingUnusable as fault:
                logger.error("codes are signed with the old ring: %s", fault)
            state.reader.use(state.key_ring.ring)
            logger.warning("the ring of code keys was read again")
        state.metrics.hot_connected.set(1 if state.hot.connected else 0)
        state.metrics.hot_in_flight.set(state.hot.in_flight)
        state.metrics.configuration_stale_seconds.set(state.configuration.stale_seconds)
        await _look_for_frozen(state)
        await state.watch.look()
        state.metrics.backlog_full.set(1 if state.watch.backlog_full else 0)
        if state.clock() - noted_at >= NOTE_SECONDS and (used := state.authenticator.take_used()):
            noted_at = state.clock()
            await state.configuration.note_use(used)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
