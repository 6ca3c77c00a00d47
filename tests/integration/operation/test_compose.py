"""compose.yaml against the code: each part's user and settings, and the set-up of its two servers on real ones.

Docker itself is not run here: that images are built, containers start in their order and reach each other is not shown.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml
from redis.asyncio import Redis
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.development.store_roles import GATEWAY, OPERATIONS, PROJECTOR, SEALER, WRITER
from gateway.settings import Settings
from redemption.hot.server_checks import check_hot_store
from redemption.hot.users import RULES, user_line
from redemption.rights import ROLES, creation, grant_rights
from tests.support.servers.postgres import private_postgres
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import HotClient

TEXT = (Path(__file__).parents[3] / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = {"valkey", "postgres"}
PARTS = {
    "gateway": GATEWAY,
    "ledger-writer": WRITER,
    "sealer": SEALER,
    "projector": PROJECTOR,
    "operations": OPERATIONS,
}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
TOOL = re.compile(r"^#   docker compose (?:run --rm|exec)(?: -v \S+)? ([a-z-]+) (.*?)(?:  +#.*)?$", re.MULTILINE)
PASSWORDS = {name for name, _, _ in VARIABLE.findall(TEXT) if name.endswith("_PASSWORD")}


def filled_in(text: str) -> str:
    """What compose makes of its variables, each password being its own name in small letters."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == "-" else found[1].lower(), text).replace("$$", "$")


def client_of(url: str) -> HotClient:
    return Redis.from_url(url)


def passwords_of(service: dict[str, Any]) -> set[str]:
    return {name for name, _, _ in VARIABLE.findall(yaml.safe_dump(service, width=10_000)) if name in PASSWORDS}


@pytest.mark.parametrize(
    "command",
    [
        *(" ".join(service["command"]) for name, service in SERVICES.items() if name not in SERVERS),
        *(arguments.removeprefix("tong ") for _, arguments in TOOL.findall(TEXT)),
    ],
)
def test_every_command_is_one_of_the_command_line(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output


def test_the_lines_for_a_person_name_services_that_there_are() -> None:
    named = [service for service, _ in TOOL.findall(TEXT)]
    assert len(named) >= 4
    assert set(named) <= SERVICES.keys()


def test_the_lines_at_the_top_make_every_password_that_is_asked_for() -> None:
    loop = TEXT.partition("for name in ")[2].partition("; do")[0]
    assert {f"{name}_PASSWORD" for name in re.findall(r"[A-Z_]+", loop)} == PASSWORDS
    assert len(PASSWORDS) == 2 + len(RULES) + len(ROLES)


def test_every_part_has_a_service_and_every_service_a_part() -> None:
    assert SERVICES.keys() == PARTS.keys() | SERVERS | {"migrate"}


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_gets_the_addresses_of_its_own_users_and_no_others(name: str) -> None:
    service, access = SERVICES[name], PARTS[name]
    told = {key: filled_in(value) for key, value in service["environment"].items()}
    users = {"TONG_POSTGRES_DSN": access.ledger} | ({"TONG_VALKEY_URL": access.hot} if access.hot else {})
    addresses = {key: urlsplit(value) for key, value in told.items() if "://" in value and "@" in value}
    assert {key: address.username for key, address in addresses.items()} == users
    own = {
        f"{store}_{user.removeprefix('tong_')}_password"
        for store, user in (("valkey", access.hot), ("postgres", access.ledger))
        if user
    }
    assert {address.password for address in addresses.values()} == own
    assert {password.lower() for password in passwords_of(service)} == own
    assert ("hot" in service["networks"]) == (access.hot is not None)


def test_the_owners_passwords_are_told_to_the_migration_and_the_servers_only() -> None:
    holders = {
        name for name, service in SERVICES.items() if passwords_of(service) & {"VALKEY_PASSWORD", "POSTGRES_PASSWORD"}
    }
    assert holders == {"migrate", *SERVERS}


def test_keys_of_codes_and_of_the_chain_lie_in_different_folders() -> None:
    mounted = {name: service.get("volumes", []) for name, service in SERVICES.items() if name not in SERVERS}
    assert {name: volumes for name, volumes in mounted.items() if volumes} == {
        "gateway": ["gateway-home:/var/lib/tong"],
        "sealer": ["sealer-home:/var/lib/tong"],
        "operations": ["sealer-home:/var/lib/tong:ro"],
    }


def test_every_setting_is_one_that_there_is() -> None:
    for service in (service for name, service in SERVICES.items() if name not in SERVERS):
        names = {key.removeprefix("TONG_").lower() for key in service["environment"]}
        assert names <= Settings.model_fields.keys()


async def test_the_hot_stores_configuration_starts_a_server_as_durable_as_promised_with_each_users_rules(
    tmp_path: Path,
) -> None:
    text = filled_in(COMPOSE["configs"]["valkey"]["content"])
    assert "\ndir /data\n" in text
    path = tmp_path / "valkey.conf"
    path.write_text(text.replace("\ndir /data\n", "\n"))
    async with private_valkey("--include", str(path)) as server:
        owner = f"redis://:valkey_password@127.0.0.1:{server.port}/0"
        assert await check_hot_store(owner, cluster=False) == ()
        async with client_of(owner) as hot:
            told = sorted(line.decode() for line in await hot.execute_command("ACL", "LIST"))
            assert len(told) == 1 + len(RULES)
            for user in RULES:
                await hot.execute_command("ACL", "DELUSER", user)
                password = f"valkey_{user.removeprefix('tong_')}_password"
                await hot.execute_command("ACL", "SETUSER", *user_line(user, password).split(maxsplit=1)[1].split())
            assert sorted(line.decode() for line in await hot.execute_command("ACL", "LIST")) == told
        for user in RULES:
            url = f"redis://{user}:valkey_{user.removeprefix('tong_')}_password@127.0.0.1:{server.port}/0"
            async with client_of(url) as client:
                assert await client.ping()


async def test_the_ledgers_roles_are_made_with_a_password_each_and_migrate_finds_them() -> None:
    statements = filled_in(COMPOSE["configs"]["roles"]["content"])
    for role in ROLES:
        assert creation(role).removesuffix(";") in statements
    with private_postgres() as server:
        async with server.fresh_database() as dsn:
            connection = await asyncpg.connect(dsn)
            try:
                await connection.execute(statements)
                rows = await connection.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'tong_%'")
                kept = {row["rolname"]: row["rolpassword"] for row in rows}
                assert kept.keys() == ROLES.keys()
                assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in kept.values())
                assert await grant_rights(connection) == list(ROLES)
            finally:
                await connection.close()
