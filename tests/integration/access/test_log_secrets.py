"""No log of any stack of the suite holds a secret (tests/support/servers/stack.py looks when one ends): that this look
sees."""

import pytest

from tests.support.api.client import TongClient, fresh_key
from tests.support.api.log_secrets import leaked
from tests.support.servers.stack import Stack, running_stack


async def test_what_is_secret_is_known_of_every_kind(stack: Stack, tong: TongClient) -> None:
    member = await stack.member(("hotel", 100, 1))
    codes = await tong.codes(member)
    await tong.verify(stack.terminals["hotel"], b'{"code":"%s"}' % codes[0].digits.encode(), fresh_key())
    stack.look_for_secrets()
    kinds = " ".join(stack.remembered.found.values())
    for kind in (
        *(
            "seal-key",
            "valkey/password",
            "valkey/users/tong_gateway",
            "postgres/password",
            "postgres/roles/tong_writer",
        ),
        *("code-keys.json secret", "code-keys.json digits_secret", "identity/identity-key.json private_key"),
        *("demo.json api_key", "demo.json admin_api_key", "demo.json access_token"),
        *("a code", "digits", "a credential that was sent"),
    ):
        assert kind in kinds, f"{kind} is not looked for"
    for secret in (codes[0].code, codes[0].digits, member.access_token, stack.terminals["hotel"].api_key):
        assert secret in stack.remembered.found
    assert stack.leaked() == []


async def test_each_of_them_is_found_where_somebody_wrote_it(stack: Stack, tong: TongClient) -> None:
    await tong.code(await stack.member(("hotel", 100, 1)))
    stack.look_for_secrets()
    for secret, what in stack.remembered.found.items():
        planted = f'{{"event": "asked for {secret} in vain"}}\n'
        assert what in leaked(planted, stack.remembered.found)


async def test_a_stack_that_wrote_a_secret_fails_when_it_ends() -> None:
    async def careless() -> None:
        async with running_stack() as stack:
            with (stack.home.parent / "log").open("a") as file:
                file.write(f"the key is {stack.terminals['hotel'].api_key}\n")

    with pytest.raises(AssertionError, match="secrets stand in the logs"):
        await careless()
