"""Answers are encoded schemas: nothing is left out, nothing is added."""

import pytest
from msgspec import Struct

from gateway.http.responses import extended, respond


class Part(Struct):
    """A schema."""

    name: str
    amount: int


class Whole(Part):
    """A schema with one field more."""

    note: str | None


def test_an_answer_is_the_json_of_its_schema_in_the_order_of_the_fields() -> None:
    response = respond(Whole(name="陳", amount=1, note=None), 201, ((b"x-test", b"1"),))
    assert (response.status_code, bytes(response.body)) == (201, '{"name":"陳","amount":1,"note":null}'.encode())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-test"] == "1"


def test_an_extended_schema_keeps_what_it_is_made_of_and_misses_nothing() -> None:
    part = Part(name="a", amount=1)
    assert extended(Whole, part, note="b", amount=2) == Whole(name="a", amount=2, note="b")
    with pytest.raises(TypeError):
        extended(Whole, part)
    with pytest.raises(TypeError):
        extended(Whole, part, note="b", other=1)
