"""The tests' own reading of refusals."""

import httpx2

from tests.support.api.problem import refusal_code


def test_the_code_of_a_refusal_is_read_and_any_other_answer_has_none() -> None:
    refused = httpx2.Response(403, json={"code": "forbidden"}, headers={"content-type": "application/problem+json"})
    assert refusal_code(refused) == "forbidden"
    for granted in (httpx2.Response(200, json={"periods": []}), httpx2.Response(200, json=[]), httpx2.Response(204)):
        assert refusal_code(granted) == ""
