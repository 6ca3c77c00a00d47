"""The table in redemption/hot/keys.py is the whole key space: every spelling is a row, every row is spelt."""

import inspect
import re
from pathlib import Path

from redemption.hot import keys
from tests.support.servers.key_space import KeyRow, declared_keys

NOT_KEYS = {"tag", "bucket_of_terminal"}
VALUES = {
    "bucket": 17,
    "member_id": "mem_0000001",
    "number": 1,
    "slot": 897_674_421,
    "redemption_id": "rdm_0h0000000000000000",
    "terminal_id": "trm_hotel_lobby_1",
    "key": "a:b!",
    "issue_id": "iss_opening_0000001",
}


def spelt() -> dict[str, str]:
    """A key of each function of the module."""
    found = {}
    for name, function in inspect.getmembers(keys, inspect.isfunction):
        if name not in NOT_KEYS and function.__module__ == keys.__name__:
            parameters = inspect.signature(function).parameters
            found[name] = function(**{each: VALUES.get(each, "x1") for each in parameters})
    found |= {"BUCKETS_KEY": keys.BUCKETS_KEY, "LAYOUT_KEY": keys.LAYOUT_KEY}
    return found


def rows_of(key: str) -> list[KeyRow]:
    """The rows of a key. A function may give a prefix, to which Lua adds the last part of the row."""
    whole = [row for row in declared_keys() if row.pattern.fullmatch(key)]
    return whole or [row for row in declared_keys() if row.pattern.fullmatch(f"{key.removesuffix(':')}:x1")]


def test_every_key_is_in_exactly_one_row() -> None:
    for name, key in spelt().items():
        assert len(rows_of(key)) == 1, f"{name}: {key} is in {[row.spelling for row in rows_of(key)]}"


def test_every_row_is_spelt_by_a_function() -> None:
    used = {row.spelling for key in spelt().values() for row in rows_of(key)}
    assert {row.spelling for row in declared_keys()} == used


def test_the_whole_table_is_read() -> None:
    table = re.findall(r"^    (\S+:\S+)", keys.__doc__ or "", re.MULTILINE)
    assert [row.spelling for row in declared_keys()] == table


def test_keys_of_a_bucket_carry_its_hash_tag() -> None:
    for name, key in spelt().items():
        assert key.startswith((keys.tag(17), "ops:")) or name in ("BUCKETS_KEY", "LAYOUT_KEY")


def test_no_other_module_spells_a_key() -> None:
    root = Path(__file__).parents[2]
    for path in [*(root / "gateway").rglob("*.py"), *(root / "redemption").rglob("*.py")]:
        if path != root / "redemption" / "hot" / "keys.py":
            for line in path.read_text(encoding="utf-8").splitlines():
                assert not re.search(r"""f["']\{\{b\{""", line), f"{path}: {line.strip()}"
