"""`tong up`: the whole product on one machine, for development.

Guarantees: one stack per TONG_HOME (held by a lock); servers that are given are used and never started or stopped,
missing ones are started privately; all parts are watched and restarted; `demo.json` always names the pids that run;
SIGINT, SIGTERM or SIGHUP stop everything in order (gateway, then ledger writer, sealer and settlement, then servers), a
second one hastens; SIGUSR2 replaces the gateway workers one after another; secrets reach the parts through their
environment only; on private servers each part is a user of its own, with the rights it needs
(gateway/development/store_roles.py).

Order of a start: folder, lock, servers, checks, migrations, demo group, listening socket, ledger writer, gateway,
`/readyz`, `demo.json`. Any failure stops what runs and is printed with what to do about it.
"""

import asyncio
import errno
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from pydantic import SecretStr

from gateway.administration.migrations import LOST
from gateway.development.home_lock import HomeInUse, home_lock
from gateway.development.postgres_account import AccountUnusable, Passage
from gateway.development.postgres_server import make_missing_database, private_postgres
from gateway.development.private_files import kept_secret, private_folder, write_private
from gateway.development.process_priority import keep_precedence
from gateway.development.store_roles import GATEWAY, OPERATIONS, PROJECTOR, SEALER, WRITER, Access, make_roles
from gateway.development.try_it import what_to_try
from gateway.development.valkey_server import ServerMissing, private_valkey
from gateway.processes.child import Child
from gateway.processes.listening import PortTaken, base_url, listening_socket, status_line
from gateway.processes.supervisor import ChildFailed, StopRequested, Supervisor
from gateway.server.lifespan import development_issuer
from gateway.server.worker_processes import worker
from gateway.settings import Settings
from redemption.configuration.group_file import read_group
from redemption.domain.clock import system_clock
from redemption.domain.errors import ConfigurationError
from redemption.domain.store_warnings import ServerUnusable
from redemption.hot.install import open_client
from redemption.hot.server_checks import check_hot_store
from redemption.ledger.chain import make_seal_key
from redemption.ledger.freezing import frozen_buckets
from redemption.ledger.server_checks import check_ledger_store
from tokens.errors import KeyRingUnusable
from tokens.keyring import KeyRingFile

GROUP_FILE: Final = Path(__file__).with_name("group.yaml")
ONE_SHOT_SECONDS: Final = 120.0
READY_SECONDS: Final = 60.0
WRITER_STOP_SECONDS: Final = 30.0
SECOND_SIGNAL_SECONDS: Final = 1.0  # make and a terminal may deliver one Ctrl-C twice

HOW_TO_REBUILD: Final = (
    "Run it in another terminal, with TONG_VALKEY_URL and TONG_POSTGRES_DSN set to `valkey_url` and `postgres_dsn` of "
    "demo.json; the stack goes on by itself."
)

GATEWAY_RANK: Final = 0
WRITER_RANK: Final = 1
SERVERS_RANK: Final = 2


class StackUnusable(ConfigurationError):
    """The stack cannot run. The text says why and what to do."""


_PROBLEMS: Final = (
    StackUnusable,
    ServerUnusable,
    ServerMissing,
    AccountUnusable,
    PortTaken,
    HomeInUse,
)


_OF_THE_FOLDER: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EFBIG}
)
"""Faults that the person who chose TONG_HOME can mend."""


async def up(settings: Settings) -> int:
    """Run the stack until stopped. Returns the exit status: 0 stopped, 1 could not run."""
    stack = _Stack(settings.model_copy(update={"home": settings.home.absolute()}))
    supervisor = stack.supervisor
    first_signal_at: float | None = None

    def stop(number: signal.Signals) -> None:
        nonlocal first_signal_at
        now = time.monotonic()
        if first_signal_at is None:
            first_signal_at = now
            supervisor.say(f"{number.name}: stopping in order; once more to hasten")
            supervisor.request_stop()
        elif now - first_signal_at > SECOND_SIGNAL_SECONDS:
            supervisor.hasten()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGUSR2, stack.replace_workers)
    status = 0
    try:
        private_folder(stack.home)
        with home_lock(stack.home):
            try:
                await stack.start()
                await supervisor.stopping.wait()
            finally:
                await stack.stop()
    except StopRequested:
        pass
    except _PROBLEMS as problem:
        supervisor.say(f"cannot run: {problem}")
        status = 1
    except OSError as fault:
        if fault.errno not in _OF_THE_FOLDER:
            raise
        supervisor.say(f"cannot run: {fault}. TONG_HOME={stack.home} has to be a folder of its own with room in it")
        status = 1
    finally:
        for number in (*numbers, signal.SIGUSR2):
            loop.remove_signal_handler(number)
    supervisor.say("stopped" if status == 0 else "stopped; nothing is left running")
    return status


class _Stack:
    """The parts of one run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home
        self.supervisor = Supervisor(self._write_demo)
        self._passage = Passage(self.supervisor.say)
        self._given_valkey = settings.valkey_url is not None
        self._given_postgres = settings.postgres_dsn is not None
        self._environment = dict(os.environ)
        self._hot_users: Mapping[str, str] = {}  # addresses by user; empty where the server was given
        self._ledger_roles: Mapping[str, str] = {}
        self._listener: socket.socket | None = None
        self._base_url = ""
        self._precedence: asyncio.Task[None] | None = None
        self._demo: dict[str, Any] | None = None  # demo.json is written from the moment the stack serves

    async def start(self) -> None:
        began = time.monotonic()
        (self.home / "demo.json").unlink(missing_ok=True)  # a stale one would name dead processes
        await asyncio.gather(self._start_valkey(), self._start_postgres())
        self._give_identity()
        self._give_environment()
        await self._check_servers()
        await self._once("migrate", "migrate", "--yes")
        is_lost = await self._is_frozen()
        if not is_lost:  # a load would issue opening balances a second time
            await self._load_group_once()
        self._listener = listening_socket(self.settings.host, self.settings.port)
        self._base_url = base_url(self._listener)
        content = await self._demo_content()  # the keys are made before the workers start, so that they know them
        await self._start_parts()
        self._precedence = asyncio.create_task(keep_precedence(self.supervisor), name="precedence")
        await self._wait_until_ready("/healthz" if is_lost else "/readyz")
        self._demo = content
        self._write_demo()
        took = time.monotonic() - began
        if is_lost:
            self.supervisor.say(f"{self._base_url} serves, but no value moves: {LOST}. {HOW_TO_REBUILD}")
            return
        self.supervisor.say(f"ready at {self._base_url} after {took:.1f} s; data in {self.home}; Ctrl-C stops it")
        # The token in the address is for a person's screen, not for a file that the output goes to.
        pages = content["pages_url"] if sys.stdout.isatty() else None
        print(what_to_try(self._base_url, self.home / "demo.json", pages), flush=True)  # noqa: T201 - for the person

    async def stop(self) -> None:
        try:
            await self.supervisor.stop()
        finally:
            self._passage.close()
        if self._listener is not None:
            self._listener.close()
        # Keys stay where `tong load` keeps them; a file that names dead processes would only mislead.
        (self.home / "demo.json").unlink(missing_ok=True)
        if self._precedence is not None:
            await self._precedence  # a defect of ours is raised once everything has ended

    def replace_workers(self) -> None:
        """Replace the gateway workers one after another, without a failed request where there are two or more."""
        if self._demo is not None:
            self.supervisor.request_renewal([f"gateway.{number}" for number in range(self.settings.workers)])

    async def _start_valkey(self) -> None:
        if self._given_valkey:
            return
        server = private_valkey(self.home / "valkey", _server_environment(), SERVERS_RANK, self.supervisor.say)
        await self._start(server.child)
        self._hot_users = server.users
        self.settings = self.settings.model_copy(update={"valkey_url": SecretStr(server.address)})

    async def _start_postgres(self) -> None:
        if self._given_postgres:
            return
        try:
            server = await private_postgres(
                self.home / "postgres", _server_environment(), SERVERS_RANK, self.supervisor, self._passage
            )
        except ChildFailed as failure:
            raise StackUnusable(f"the private PostgreSQL could not be made: {failure}") from failure
        await self._start(server.child)
        try:
            await make_missing_database(server.address)
            await make_roles(server.address, server.users)
        except asyncpg.PostgresError as fault:
            raise StackUnusable(f"the private PostgreSQL could not be set up: {fault}") from fault
        self._ledger_roles = server.users
        self.settings = self.settings.model_copy(update={"postgres_dsn": SecretStr(server.address)})

    def _give_identity(self) -> None:
        """Make missing code keys and the members' identity provider before several workers look for them."""
        settings = self.settings
        try:
            make_seal_key(settings.seal_key_path())
            KeyRingFile.open_or_create(
                settings.code_keys_path(), settings.environment, settings.code_algorithm, system_clock()
            )
            if settings.member_issuer is None:
                private_folder(settings.identity_folder())
                development_issuer(settings, system_clock)
        except KeyRingUnusable as error:
            raise StackUnusable(str(error)) from error

    def _give_environment(self) -> None:
        """Set the environment of every part, with the owner's addresses. The private servers get none of it."""
        settings = self.settings
        assert settings.valkey_url is not None
        assert settings.postgres_dsn is not None
        metrics = self.home / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)  # counters of dead workers would be added to the new ones'
        private_folder(metrics)
        self._environment.update(
            TONG_HOME=str(self.home),
            TONG_VALKEY_URL=settings.valkey_url.get_secret_value(),
            TONG_POSTGRES_DSN=settings.postgres_dsn.get_secret_value(),
            TONG_DEVELOPMENT="true",
            PROMETHEUS_MULTIPROC_DIR=str(metrics),
        )
        if not self._given_valkey:
            self._environment["TONG_VALKEY_CHECKED"] = "true"  # the owner has checked it; the parts may not
        self.settings = settings.model_copy(update={"development": True})

    async def _check_servers(self) -> None:
        settings = self.settings
        assert settings.valkey_url is not None
        assert settings.postgres_dsn is not None
        hot, ledger = await asyncio.gather(
            check_hot_store(settings.valkey_url.get_secret_value(), cluster=settings.valkey_cluster),
            check_ledger_store(settings.postgres_dsn.get_secret_value()),
        )
        for weakness in (*hot, *ledger):
            self.supervisor.say(f"weaker than promised: {weakness}")

    async def _is_frozen(self) -> bool:
        """Return whether every bucket is frozen: the hot store's data was lost, or a rebuild was interrupted."""
        settings = self.settings
        assert settings.valkey_url is not None
        async with open_client(settings.valkey_url.get_secret_value(), cluster=settings.valkey_cluster) as client:
            return len(await frozen_buckets(client, range(settings.buckets))) == settings.buckets

    async def _load_group_once(self) -> None:
        """Load the demo group at the first start on these servers, and again when the file changed."""
        settings = self.settings
        assert settings.valkey_url is not None
        assert settings.postgres_dsn is not None
        identity = hashlib.sha256(GROUP_FILE.read_bytes())
        if self._given_valkey:
            identity.update(settings.valkey_url.get_secret_value().encode())
        if self._given_postgres:
            identity.update(settings.postgres_dsn.get_secret_value().encode())
        mark = self.home / "group-loaded"
        if mark.exists() and mark.read_text() == identity.hexdigest():
            return
        self.supervisor.say("loading the demo group")
        await self._once("load", "load", str(GROUP_FILE), access=OPERATIONS)
        write_private(mark, identity.hexdigest().encode())

    async def _start_parts(self) -> None:
        assert self._listener is not None
        descriptor = self._listener.fileno()
        writer, sealer, projector = (
            self._part(name, *arguments, access=access, rank=WRITER_RANK, stop_seconds=WRITER_STOP_SECONDS)
            for name, access, arguments in (
                ("ledger-writer", WRITER, ("write-ledger",)),
                ("sealer", SEALER, ("seal",)),
                ("projector", PROJECTOR, ("projector",)),
            )
        )
        environment = self._environment_of(GATEWAY)
        workers = [
            worker(number, descriptor, environment, self.home / "ready", stop_rank=GATEWAY_RANK)
            for number in range(self.settings.workers)
        ]
        await asyncio.gather(*(self._start(child) for child in (writer, sealer, projector, *workers)))

    def _part(self, name: str, *arguments: str, access: Access, rank: int, stop_seconds: float) -> Child:
        return Child(
            name=name,
            command=(*_tong(), *arguments),
            environment=self._environment_of(access),
            stop_rank=rank,
            stop_seconds=stop_seconds,
        )

    def _environment_of(self, access: Access | None) -> dict[str, str]:
        """Return the addresses that give a part the rights it needs; None: the owner's."""
        environment = dict(self._environment)
        if access is None:
            return environment
        if self._hot_users:
            del environment["TONG_VALKEY_URL"]
            if access.hot is not None:
                environment["TONG_VALKEY_URL"] = self._hot_users[access.hot]
        if self._ledger_roles:
            environment["TONG_POSTGRES_DSN"] = self._ledger_roles[access.ledger]
        return environment

    async def _once(self, name: str, *arguments: str, access: Access | None = None) -> None:
        child = Child(
            name=name,
            command=(*_tong(), *arguments),
            environment=self._environment_of(access),
            ready_seconds=ONE_SHOT_SECONDS,
        )
        try:
            await self.supervisor.run(child)
        except ChildFailed as failure:
            raise StackUnusable(f"`tong {' '.join(arguments)}` failed: {failure}") from failure

    async def _start(self, child: Child) -> None:
        try:
            await self.supervisor.start(child)
        except ChildFailed as failure:
            raise StackUnusable(f"{child.name} does not start: {failure}") from failure

    async def _wait_until_ready(self, path: str) -> None:
        assert self._listener is not None
        deadline = time.monotonic() + READY_SECONDS
        while " 200 " not in (answer := await status_line(self._listener, path)):
            if time.monotonic() >= deadline:
                raise StackUnusable(
                    f"{self._base_url}{path} did not say ready within {READY_SECONDS:.0f} s (last: {answer}); "
                    "what the parts said above tells why"
                )
            await self.supervisor.pause(0.05)

    async def _demo_content(self) -> dict[str, Any]:
        settings = self.settings
        assert settings.valkey_url is not None
        assert settings.postgres_dsn is not None
        from gateway.development.demo.access import demo_members_and_terminals  # noqa: PLC0415 - for the demo only

        own_members = [member.number for member in read_group(GROUP_FILE).group.members]
        access = await demo_members_and_terminals(settings, own_members)
        token = kept_secret(self.home / "pages-token")
        return {
            "base_url": self._base_url,
            "pages_url": f"{self._base_url}/#demo={token}",
            "pages_access_token": token,
            "valkey_url": settings.valkey_url.get_secret_value(),
            "postgres_dsn": settings.postgres_dsn.get_secret_value(),
            "pids": {},
            **access,
        }

    def _write_demo(self) -> None:
        """Write demo.json at every start of a child. Pids of servers that were given are null: they are not ours."""
        if self._demo is None:
            return
        pids = self.supervisor.pids()
        self._demo["pids"] = {
            "valkey": pids.get("valkey"),
            "postgres": pids.get("postgres"),
            "gateway": [pids[f"gateway.{number}"] for number in range(self.settings.workers)],
            "ledger_writer": pids["ledger-writer"],
            "sealer": pids["sealer"],
            "projector": pids["projector"],
        }
        write_private(self.home / "demo.json", json.dumps(self._demo, ensure_ascii=False, indent=1).encode())


def _server_environment() -> dict[str, str]:
    """Return an environment without anything of ours, settings or secrets, for the private servers."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _tong() -> tuple[str, ...]:
    """Return the command line of the environment that we run in, whatever PATH says."""
    return (sys.executable, str(Path(sys.executable).with_name("tong")))
