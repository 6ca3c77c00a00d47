"""docs/guides/operations.md, "Upgrade": the two commands for users of Valkey, run as they stand there."""

import re
import subprocess
from pathlib import Path

from redis.asyncio import Redis

from redemption.hot.users import GATEWAY, RULES, acl_file, user_line
from tests.support.servers.private_servers import private_valkey
from tests.support.servers.stack import HotClient

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^sed -n '(.*)' new\.acl \| valkey-cli$", PAGE, re.MULTILINE)


def commands(script: str) -> list[list[str]]:
    """What the page's sed makes of the rules of this version."""
    done = subprocess.run(["sed", "-n", script], input=acl_file(), capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def client_of(url: str) -> HotClient:
    return Redis.from_url(url)


async def allowed(hot: HotClient, *command: str) -> bool:
    return bool(await hot.execute_command("ACL", "DRYRUN", GATEWAY, *command) == b"OK")


async def test_between_the_two_commands_a_user_has_what_either_version_needs_and_then_what_the_new_one_does() -> None:
    adding, setting = SCRIPTS
    assert [words[2] for words in commands(adding)] == [words[2] for words in commands(setting)] == list(RULES)
    needed_before = ("GETDEL", "{b1}:old:x"), ("SMEMBERS", "{b1}:lots:x")
    needed_after = (
        ("HINCRBY", "{b1}:lots:x", "a", "1"),
        ("HGETALL", "{b1}:lots:x"),
        ("XADD", "{b1}:ledger", "*", "a", "b"),
    )
    older = "reset on >old resetchannels -@all +smembers +getdel %R~{b*}:* (+getdel ~{b*}:old:*)"
    async with private_valkey() as server, client_of(server.url) as hot:
        for user in RULES:
            await hot.execute_command("ACL", "SETUSER", user, *older.split())
        assert [await allowed(hot, *command) for command in needed_before] == [True, True]
        assert [await allowed(hot, *command) for command in needed_after] == [False] * 3
        async with client_of(f"redis://{GATEWAY}:old@127.0.0.1:{server.port}/0") as connected:
            assert await connected.smembers("{b1}:none") == set()
            for words in commands(adding):
                assert await hot.execute_command(*words)
            assert [await allowed(hot, *command) for command in (*needed_before, *needed_after)] == [True] * 5
            for words in commands(setting):
                assert await hot.execute_command(*words)
            assert [await allowed(hot, *command) for command in needed_before] == [False, False]
            assert await connected.hgetall("{b1}:lots:x") == {}, "the connection was kept, and the password"
        told = await lines(hot)
        for user in RULES:
            await hot.execute_command("ACL", "SETUSER", *user_line(user, "old").split()[1:])
        assert await lines(hot) == told, "as if they had been made anew"


async def lines(hot: HotClient) -> list[str]:
    return sorted(line.decode() for line in await hot.execute_command("ACL", "LIST"))
