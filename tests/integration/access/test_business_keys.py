"""Back-office keys of one business: made, listed, refused."""

import pytest

from gateway.administration.keys import create_key, read_stored_keys
from gateway.cli.keys import key_table
from redemption.credentials import UnknownBusiness, UnknownRole
from tests.support.servers.stack import Stack


async def test_a_key_of_one_business_is_listed_with_it(stack: Stack) -> None:
    key = await create_key(stack.settings, None, ("settlement", "operations"), "hotel")
    key_id = key.split("_")[3]
    listed = key_table(await read_stored_keys(stack.settings))
    line = next(line for line in listed if line.startswith(key_id))
    assert "settlement,operations of hotel" in line


async def test_roles_and_businesses_that_are_not_there_are_refused(stack: Stack) -> None:
    with pytest.raises(UnknownRole, match="'boss' is no role: back_office, operations, settlement"):
        await create_key(stack.settings, None, ("settlement", "boss"))
    with pytest.raises(UnknownBusiness, match="nobody"):
        await create_key(stack.settings, None, ("settlement",), "nobody")


def test_the_demo_has_a_key_for_the_group_and_one_for_each_business(stack: Stack) -> None:
    demo = stack.demo
    businesses = [each["business"] for each in demo["business_admins"]]
    assert set(businesses) == {terminal["business"] for terminal in demo["terminals"]}
    assert businesses == sorted(businesses)
    keys = [each["api_key"] for each in demo["business_admins"]]
    assert len({*keys, demo["admin_api_key"]}) == len(keys) + 1
