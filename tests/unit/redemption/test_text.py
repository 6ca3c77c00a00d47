"""The patterns that requests are checked by let through what `fault_of` lets through, and nothing else."""

import re
import unicodedata

import msgspec
import pytest

from gateway.api.members.schemas import DeviceRequest
from gateway.api.settlement.dispute_schemas import DisputeRequest, ResolveRequest
from gateway.api.settlement.schemas import PayRequest
from redemption.domain.text import LINES_PATTERN, ONE_LINE_PATTERN, fault_of

SURROGATES = range(0xD800, 0xE000)


def test_the_pattern_of_one_line_is_the_rule_of_names_for_every_character() -> None:
    one_line = re.compile(ONE_LINE_PATTERN)
    differing = [
        f"U+{number:04X}"
        for number in range(0x110000)
        if number not in SURROGATES and (fault_of(chr(number)) is None) != bool(one_line.search(chr(number)))
    ]
    assert differing == []


def test_the_pattern_of_lines_differs_by_line_breaks_and_tabs_only() -> None:
    one_line, lines = re.compile(ONE_LINE_PATTERN), re.compile(LINES_PATTERN)
    more = {
        chr(number)
        for number in range(0x110000)
        if number not in SURROGATES and bool(lines.search(chr(number))) != bool(one_line.search(chr(number)))
    }
    assert more == {"\t", "\n", "\r", "\u2028", "\u2029"}


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x85", "\x00"], ids=lambda text: f"U+{ord(text):04X}")
@pytest.mark.parametrize(
    ("request_type", "field", "others"),
    [
        (DeviceRequest, "name", {}),
        (DisputeRequest, "reason", {}),
        (ResolveRequest, "note", {}),
        (PayRequest, "reference", {}),
    ],
)
def test_no_text_of_a_caller_turns_the_text_around_it(
    request_type: type[msgspec.Struct], field: str, others: dict[str, str], character: str
) -> None:
    assert unicodedata.category(character) in ("Cc", "Cf")
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({field: f"a{character}b", **others}, request_type)
    assert msgspec.convert({field: "陳先生 👨‍👩‍👧", **others}, request_type)
