"""The group file is taken whole or refused with every fault and its place; never a traceback, never the last of two."""

import json
from typing import Any

import pytest
import yaml

from redemption.configuration.document_faults import FAULTS_SHOWN_MAX
from redemption.configuration.group import GroupFileRefused
from redemption.configuration.group_file import GroupFile, parse_group, read_group
from redemption.configuration.strict_text import DocumentRefused, read_json
from redemption.domain.limits import GROUP_FILE_BYTES_MAX

Json = dict[str, Any]


def document(**changes: Any) -> Json:
    """A small valid group."""
    return {
        "time_zone": "Asia/Shanghai",
        "tiers": [{"id": "gold", "rank": 1, "name": {"en": "Gold"}}],
        "businesses": [
            {
                "id": "hotel",
                "name": {"en": "Hotel"},
                "currency": "CNY",
                "outlets": [
                    {"id": "out_1", "name": {"en": "Desk"}, "terminals": [{"id": "trm_1", "name": "Desk 1"}]},
                ],
            }
        ],
        **changes,
    }


def business(name: str, currency: str, **rules: Any) -> Json:
    return {"id": name, "name": {"en": name}, "currency": currency, "outlets": [], "rules": rules}


def parsed(group: Json) -> GroupFile:
    return parse_group(yaml.safe_dump(group, allow_unicode=True).encode())


def refusal(data: bytes | Json, *, as_json: bool = False) -> str:
    """What is said of a file that must be refused."""
    text = yaml.safe_dump(data, allow_unicode=True).encode() if isinstance(data, dict) else data
    with pytest.raises(GroupFileRefused) as refused:
        parse_group(text, json=as_json)
    return str(refused.value)


def test_a_key_that_stands_twice_is_refused_with_line_and_column() -> None:
    text = yaml.safe_dump(document(), sort_keys=False)
    twice = text + "policy:\n  hold_seconds: 60\n  hold_seconds: 600\n"
    line = twice.count("\n")
    said = refusal(twice.encode())
    assert f"line {line}, column 3: `hold_seconds` is a duplicate key (before: line {line - 1})" in said


def test_every_duplicate_is_named_also_in_json() -> None:
    body = json.dumps(document())[:-1] + ',\n "time_zone": "UTC", "policy": {"hold_seconds": 60,\n "hold_seconds": 70}}'
    said = refusal(body.encode(), as_json=True)
    assert "line 2, column 2: `time_zone`" in said
    assert "line 3, column 2: `hold_seconds`" in said


def test_a_merge_of_yaml_may_be_overridden_and_is_no_duplicate() -> None:
    group = document(benefits={})
    text = yaml.safe_dump(group, sort_keys=False).replace("benefits: {}\n", "")
    text += "benefits:\n  a: &a {name: {en: A}, granted_by: hotel, per_day: 1}\n  b: {<<: *a, per_day: 2}\n"
    benefits = parse_group(text.encode()).group.benefits
    assert (benefits["a"].per_day, benefits["b"].per_day, benefits["b"].granted_by) == (1, 2, "hotel")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 100_000, "line 1, column 33: nested more than 32 deep"),
        (b"a: " + b"{a: " * 40 + b"1" + b"}" * 40, "nested more than 32 deep"),
        (b"a: &a [*a]", "line 1, column 8: an alias contains itself"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(8)),
            "more than 1000000 values, aliases counted as what they repeat",
        ),
        (b'a: "\x00"', "U+0000"),
        (b'a: "\xff"', "U+00FF at position 4"),
        (b"a: 2026-13-45", "month must be in 1..12"),
        (b"a: " + b"9" * 5_000, "not YAML: Exceeds the limit"),
        (b"a: [", "line 1, column 5: not YAML"),
        (b"a: *nothing", "line 1, column 4: not YAML"),
        (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"a: 1\n---\nb: 1", "line 2, column 1: not YAML"),
        (b"? [a]\n: 1", "unhashable key"),
        (b"", "Expected 'object', got 'null'"),
        (b"[]", "Expected 'object', got 'array'"),
    ],
)
def test_what_is_no_group_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    found = refusal(data)
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "Exceeds the limit"),
        (b'"' + b'\\"' * 50_000, "Unterminated string"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
    ],
)
def test_what_is_no_json_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(DocumentRefused, match=said):
        read_json(data)


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("\0", "a control character"),
        ("\x1b", "a control character"),
        ("\n", "a control character"),
        ("\x7f", "a control character"),
        ("\u0085", "a control character"),
        ("\ud800", "half of a surrogate pair"),
        ("\u202e", "a bidirectional control"),
        ("\u2066", "a bidirectional control"),
        ("\u200f", "a bidirectional control"),
        ("\u061c", "a bidirectional control"),
        ("\u2028", "a line break"),
    ],
)
def test_a_name_that_could_not_be_stored_or_shown_is_refused_with_its_place(character: str, kind: str) -> None:
    group = document()
    group["businesses"][0]["outlets"][0]["name"]["en"] = f"De{character}sk"
    for data, as_json in ((json.dumps(group).encode(), False), (json.dumps(group).encode(), True)):
        said = refusal(data, as_json=as_json)
        assert f"businesses[0].outlets[0].name.en: character 3 is U+{ord(character):04X}, {kind}" in said


def test_a_key_and_a_member_name_may_not_hide_a_control_either() -> None:
    assert "a key: character 3" in refusal(
        json.dumps(document(benefits={"x\0": {}})).replace("x\\u0000", "xx\\u0000").encode()
    )
    said = refusal(json.dumps(document(members=[{"number": 1, "name": "a\u202eb", "tier": "gold"}])).encode())
    assert "members[0].name: character 2 is U+202E" in said


def test_emoji_and_every_script_are_fine() -> None:
    group = document()
    for name in ("Café 🥐", "👩‍👩‍👧 家", "مقهى", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "한국"):
        group["businesses"][0]["name"]["en"] = name
        assert parsed(group).group.businesses[0].name["en"] == name
        for data, as_json in ((json.dumps(group), True), (json.dumps(group), False)):
            assert parse_group(data.encode(), json=as_json).group.businesses[0].name["en"] == name


def test_every_fault_is_told_not_only_the_first() -> None:
    group = document(members=[{"number": -1, "name": "a", "tier": "gold"}])
    group["businesses"][0]["currency"] = "cny"
    group["businesses"][0]["outlets"][0]["terminals"][0] = {"id": "1", "nam": "x"}
    group["tiers"][0]["rank"] = 500
    said = refusal(group)
    assert said.startswith("6 faults\n")
    for place in (
        "tiers[0].rank: Expected 'int' <= 100, got 500",
        "businesses[0].currency: Expected 'str' matching",
        "businesses[0].outlets[0].terminals[0].id:",
        "businesses[0].outlets[0].terminals[0]: `name` is missing",
        "businesses[0].outlets[0].terminals[0].nam: is not known here",
        "members[0].number: Expected 'int' >= 0",
    ):
        assert place in said, said


def test_faults_are_told_up_to_a_bound() -> None:
    members = [{"number": number, "name": "", "tier": "gold"} for number in range(FAULTS_SHOWN_MAX + 30)]
    said = refusal(document(members=members))
    assert said.count("\n") == FAULTS_SHOWN_MAX + 1
    assert said.endswith("and 30 more")


def test_what_does_not_fit_together_is_told_whole() -> None:
    group = document(
        time_zone="Asia/Nowhere",
        tiers=[{"id": name, "rank": 1, "name": {"en": name}} for name in ("gold", "silver")],
        members=[{"number": 1, "name": "a", "tier": "tin", "stored_value": [{"business": "spa", "amount_minor": 1}]}],
    )
    said = refusal(group)
    for sentence in (
        "time_zone: 'Asia/Nowhere'",
        "rank of a tier 1 is given 2 times",
        "members[0]: no tier 'tin'",
        "members[0]: no business 'spa'",
    ):
        assert sentence in said, said


@pytest.mark.parametrize("code", ["XAU", "XXX", "AAA"])
def test_a_currency_that_is_none_is_refused_with_the_place(code: str) -> None:
    group = document(businesses=[business("hotel", code)])
    assert f"businesses[0].currency: {code} is not a currency of ISO 4217 with a minor unit" in refusal(group)


def test_a_group_of_several_currencies_states_worth_and_earning_for_each_business() -> None:
    stated = {"points": {"worth_minor": 1, "worth_points": 100}, "earn": {"points": 1, "per_minor": 1_000}}
    said = refusal(
        document(businesses=[business("gulf", "KWD", **stated), business("tokyo", "JPY", points={"worth_minor": 1})])
    )
    assert "business tokyo (JPY): rules.points.worth_points, rules.earn.points, rules.earn.per_minor must be" in said
    assert "business gulf" not in said
    assert parsed(document(businesses=[business("gulf", "KWD", **stated), business("tokyo", "JPY", **stated)]))
    nothing = {"points": {"accepted": False}, "earn": {"points": 0}}
    assert parsed(document(businesses=[business("gulf", "KWD", **stated), business("tokyo", "JPY", **nothing)]))
    assert parsed(document(businesses=[business("tokyo", "JPY"), business("osaka", "JPY")])), (
        "one currency: defaults do"
    )


def test_a_file_that_is_too_large_says_how_many_members_come(tmp_path: Any) -> None:
    path = tmp_path / "group.yaml"
    path.write_bytes(b"#" * (GROUP_FILE_BYTES_MAX + 1))
    with pytest.raises(GroupFileRefused, match="--members"):
        read_group(path)
    with pytest.raises(GroupFileRefused, match="cannot be read: No such file"):
        read_group(tmp_path / "none.yaml")
