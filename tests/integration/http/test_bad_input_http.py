"""What no till should send: always answered 4xx with a problem document that names place and reason, never 5xx; nothing
changes. The random part prints its seed.
"""

import asyncio
import json
import random
import sys
from typing import Any

import pytest

from tests.support.api.client import TongClient, bill, fresh_key, points_leg
from tests.support.api.problem import problem_of
from tests.support.fuzzing.wrong_input import Environment, line, refused
from tests.support.servers.stack import Member, Stack

MUTATIONS = 3_000
IN_FLIGHT = 40


@pytest.fixture(scope="module")
async def member(stack: Stack) -> Member:
    return await stack.member(("hotel", 10_000, 2))


@pytest.fixture
def environment(stack: Stack, tong: TongClient, member: Member) -> Environment:
    return Environment(stack, tong, member, stack.terminals["hotel"], stack.aged_code(member, 0).code)


def text(body: dict[str, Any], place: str, value: str) -> bytes:
    """The body as JSON with raw text at a place like `legs[0].points`."""
    names = place.replace("[", ".").replace("]", "").split(".")
    target: Any = body
    for name in names[:-1]:
        target = target[int(name) if name.isdecimal() else name]
    last = names[-1]
    target[int(last) if last.isdecimal() else last] = "@@"
    return json.dumps(body).replace('"@@"', value).encode()


NO_NUMBERS = [
    *("-1", "1.5", "1.0", "1e3", "1E3", "-0", "9007199254740992", "9007199254740993", "10000000000000", "1e400"),
    *("1" + "0" * 400, '"100"', "null", "true", "[]", "{}", '""', "[100]"),
]
NOT_JSON_NUMBERS = ["NaN", "Infinity", "-Infinity", "0x10", "01", "+1", ".5", "5.", "1_000", "١٠٠"]
NO_TEXTS = ["1", "null", "true", "[]", "{}", '""', '"\\u0000"', '["x"]']


async def refused_at(environment: Environment, body: bytes, place: str) -> None:
    document = await refused(environment, body)
    assert document["code"] == "malformed"
    assert place in document["detail"], document
    (error,) = document["errors"]
    assert error["field"] == place, document
    assert len(error["reason"]) >= 5


@pytest.mark.parametrize("value", ["0", *NO_NUMBERS])
async def test_points_that_are_no_count_are_refused_with_their_place(environment: Environment, value: str) -> None:
    await refused_at(environment, text(environment.valid(), "legs[0].points", value), "legs[0].points")


@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value != "-0"])
@pytest.mark.parametrize("place", ["bill.amount_minor", "bill.lines[0].amount_minor"])
async def test_amounts_that_are_no_minor_units_are_refused_with_their_place(
    environment: Environment, place: str, value: str
) -> None:
    await refused_at(environment, text(environment.valid(), place, value), place)


@pytest.mark.parametrize("value", NOT_JSON_NUMBERS)
@pytest.mark.parametrize("place", ["legs[0].points", "bill.amount_minor"])
async def test_numbers_that_json_does_not_know_are_refused(environment: Environment, place: str, value: str) -> None:
    assert (await refused(environment, text(environment.valid(), place, value)))["code"] == "malformed"


@pytest.mark.parametrize("value", NO_TEXTS)
@pytest.mark.parametrize("place", ["code", "bill.reference", "bill.currency", "bill.lines[0].category", "legs[0].kind"])
async def test_texts_that_are_none_are_refused_with_their_place(
    environment: Environment, place: str, value: str
) -> None:
    body = text(environment.valid(), place, value)
    if place == "code" and value == '"\\u0000"':
        assert (await refused(environment, body, 409))["code"] == "code_malformed"
        return
    await refused_at(environment, body, place)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("bill.currency", '"cny"'),
        ("bill.currency", '"USD"'),
        ("bill.currency", '"CNYX"'),
        ("bill.currency", '"ＣＮＹ"'),
        ("bill.reference", '"' + "x" * 65 + '"'),
        ("bill.reference", '"收據"'),
        ("bill.reference", '"a\\nb"'),
        ("bill.reference", '" a"'),
        ("bill.lines[0].category", '"Dining"'),
        ("bill.lines[0].category", '"' + "x" * 33 + '"'),
        ("legs[0].kind", '"gold"'),
        ("legs[0].kind", '"POINTS"'),
        ("code", '"' + "9" * 513 + '"'),
        ("legs", "{}"),
        ("legs", "null"),
        ("legs", '"points"'),
        ("legs[0]", "null"),
        ("legs[0]", "[]"),
        ("legs[0]", "1"),
        ("bill", "[]"),
        ("bill", "1"),
        ("bill", '"x"'),
        ("bill.lines", "null"),
        ("bill.lines", "{}"),
        ("bill.lines[0]", "1"),
        ("bill.lines[0].amount_minor", "25801"),
    ],
)  # fmt: skip
async def test_values_out_of_the_contract_are_refused_with_their_place(
    environment: Environment, place: str, value: str
) -> None:
    found = "bill.lines" if value == "25801" else place
    await refused_at(environment, text(environment.valid(), place, value), found)


@pytest.mark.parametrize("value", ["1", "0", "null", '"true"', "[]"])
async def test_capture_that_is_no_truth_value_is_refused(environment: Environment, value: str) -> None:
    await refused_at(environment, text(environment.valid(), "capture", value), "capture")


@pytest.mark.parametrize(
    "place",
    [
        *("code", "legs[0].kind", "legs[0].points", "bill.reference", "bill.amount_minor", "bill.currency"),
        *("bill.lines[0].category", "bill.lines[0].amount_minor"),
    ],
)
async def test_a_missing_member_is_named(environment: Environment, place: str) -> None:
    parent, _, name = place.rpartition(".")
    body = text(environment.valid(), place, "0")
    body = body.replace(f'"{name}": 0, '.encode(), b"").replace(f', "{name}": 0'.encode(), b"")
    document = await refused(environment, body)
    assert document["code"] == "malformed"
    assert name in document["detail"], document
    assert document["errors"][0]["field"].startswith(parent or ("body" if place == "code" else parent)), document


@pytest.mark.parametrize("place", ["", "bill", "bill.lines[0]", "legs[0]"])
async def test_an_unknown_member_is_named(environment: Environment, place: str) -> None:
    body = environment.valid()
    target = {"": body, "bill": body["bill"], "bill.lines[0]": body["bill"]["lines"][0], "legs[0]": body["legs"][0]}
    target[place]["colour"] = 1
    document = await refused(environment, json.dumps(body).encode())
    assert document["code"] == "malformed"
    assert "colour" in document["detail"]


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (b'"code":', b'"code": "x", "code":', "code"),
        (b'"points":', b'"points": 1, "points":', "points"),
        (b'"points": 100', b'"points": 100, "points": 100', "points"),
        (b'"points":', b'"\\u0070oints": 1, "points":', "points"),
        (b'"amount_minor": 25800', b'"amount_minor": 25800, "amount_minor": 1', "amount_minor"),
        (b'"category":', b'"category": "a", "category":', "category"),
        (b'"legs":', b'"legs": [], "legs":', "legs"),
        (b'"bill":', b'"bill": null, "bill":', "bill"),
        (b'"capture":', b'"capture": true, "capture":', "capture"),
    ],
)
async def test_a_member_that_stands_twice_is_refused_and_named(
    environment: Environment, old: bytes, new: bytes, name: str
) -> None:
    for separators in ((", ", ": "), (",", ":")):
        body = json.dumps(environment.valid(), separators=separators).encode()
        squeezed = [
            part if separators[0] == ", " else part.replace(b": ", b":").replace(b", ", b",") for part in (old, new)
        ]
        assert squeezed[0] in body
        document = await refused(environment, body.replace(squeezed[0], squeezed[1], 1))
        assert (document["code"], document["errors"][0]["field"]) == ("malformed", name), document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\n",
        b"{",
        b"}",
        b"[]",
        b"[{}]",
        b"null",
        b"1",
        b'"x"',
        b"{}{}",
        b"{,}",
        b"\x00",
        b"{'code': 'x'}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"code": "\xff"}',
        b'{"code": "\xc0\xaf"}',
        b'{"code": "\xed\xa0\x80"}',
        b'{"code": "\\ud800"}',
        b'{"code": "\\udc00\\ud800"}',
        b'{"code": "\\x41"}',
        b'{"code": "a\nb"}',
        b'{"code": "x"',
        b'{"code": "x"} trailing',
        b'{"code": "x", }',
        b'{"code": "x" /* comment */}',
        b"code=x&legs=1",
        b"<code>x</code>",
        b"[" * 8_000,
        b"[" * 8_000 + b"]" * 8_000,
        b'{"a":' * 3_000,
        b'{"a":' * 2_500 + b"1" + b"}" * 2_500,
        b'{"legs":' + b"[" * 8_000 + b"]" * 8_000 + b"}",
        b'{"code": ' + b"[" * 5_000,
        b"9" * 16_000,
        b"-",
        b"-" * 16_000,
        b'"' + b"\\" * 16_000,
        b'{"bill":{"lines":' + b"[" * 7_000 + b"]" * 7_000 + b"}}",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
async def test_a_body_that_is_no_json_object_is_refused_with_a_reason(environment: Environment, body: bytes) -> None:
    document = await refused(environment, body)
    assert document["code"] == "malformed"
    assert document["errors"][0]["field"]
    assert len(document["errors"][0]["reason"]) > 5


async def test_a_lone_surrogate_or_a_nul_in_a_text_is_no_code(environment: Environment) -> None:
    for inside in (b"\\u0000", "é".encode(), "９".encode() * 17, b"%00", b"\\ufeff", "𝟗".encode()):
        document = await refused(environment, b'{"code": "' + inside + b'"}', 409)
        assert document["code"] == "code_malformed"


@pytest.mark.parametrize("count", [9, 200])
async def test_more_legs_than_a_basket_may_have_are_refused(environment: Environment, count: int) -> None:
    await refused_at(environment, json.dumps({**environment.valid(), "legs": [points_leg(1)] * count}).encode(), "legs")


async def test_more_lines_than_a_bill_may_have_are_refused(environment: Environment) -> None:
    body = {**environment.valid(), "bill": bill() | {"lines": [line(1)] * 51}}
    await refused_at(environment, json.dumps(body).encode(), "bill.lines")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"count": 0}', b'{"count": 6}', b'{"count": 1.5}', b'{"count": "1"}',
                                  b'{"count": true}', b'{"n": 1}', b'{"count": 1, "count": 2}', b"\xff"])  # fmt: skip
async def test_a_bad_request_for_codes_is_refused(environment: Environment, body: bytes) -> None:
    answer = await environment.tong.ask_codes(environment.member, body)
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "malformed")


def mutated(chosen: random.Random, bodies: list[bytes]) -> bytes:
    body = bytearray(chosen.choice(bodies))
    for _ in range(chosen.choice((1, 1, 1, 2, 5, 20))):
        if not body:
            break
        at = chosen.randrange(len(body))
        match chosen.randrange(7):
            case 0:
                body[at] ^= 1 << chosen.randrange(8)
            case 1:
                body[at] = chosen.randrange(256)
            case 2:
                del body[at:]
            case 3:
                del body[at : at + chosen.randrange(1, 20)]
            case 4:
                other = chosen.choice(bodies)
                start = chosen.randrange(len(other))
                body[at:at] = other[start : start + chosen.randrange(1, 60)]
            case 5:
                body[at:at] = chosen.choice(
                    [b'"', b"\\", b"{", b"]", b"0", b"e9", b"-", b"\x00", b"\xf0\x9f", b"\\ud800"]
                )
            case _:
                start = chosen.randrange(len(body))
                body[at:at] = body[start : start + chosen.randrange(1, 200)]
    return bytes(body)


async def test_random_damage_to_a_body_never_ends_in_a_fault(stack: Stack, tong: TongClient) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chosen = random.Random(seed)
    member = await stack.member(("hotel", 1_000_000, 2))
    entries = [entry for _ in range(20) for entry in await tong.codes(member, 5)]
    bodies = [
        json.dumps(
            {"code": text, "bill": bill(1_000 + n) | {"lines": [line(n)]}, "legs": [points_leg(1 + n)], "capture": True}
        ).encode()
        for n, entry in enumerate(entries)
        for text in (entry.code, entry.digits)
    ]
    gate, applied, codes = asyncio.Semaphore(IN_FLIGHT), {}, set()
    terminal = await stack.terminal("damaged")  # of its own: it guesses digits until it is told to wait

    async def one(body: bytes) -> None:
        async with gate:
            answer = await tong.verify(terminal, body, fresh_key())
        assert answer.status_code == 201 or 400 <= answer.status_code < 500, (seed, body, answer.text)
        if answer.status_code == 201:
            told = answer.json()
            applied[told["redemption_id"]] = sum(leg["points"] for leg in told["legs"])
        else:
            codes.add(problem_of(answer)["code"])

    await asyncio.gather(*(one(mutated(chosen, bodies)) for _ in range(MUTATIONS)))
    assert {"malformed", "code_malformed", "code_forged"} <= codes, codes
    assert await tong.points(member) == 1_000_000 - sum(applied.values())
