"""The texts that people read keep to the glossary (gateway/glossary.toml), in the right script."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.live import notice_texts
from gateway.observability import alarms
from gateway.problems import kinds
from gateway.problems.documents import KINDS
from gateway.statements.texts import TEXTS as STATEMENT_TEXTS

ROOT = Path(__file__).parents[2]
WEB = ROOT / "gateway" / "pages" / "web" / "src"
LANGUAGES = ("en", "zh-Hant", "zh-Hans")
GLOSSARY: dict[str, Any] = tomllib.loads((ROOT / "gateway" / "glossary.toml").read_text(encoding="utf-8"))
DICTIONARIES = sorted(
    str(path.relative_to(WEB))
    for path in WEB.rglob("*.ts*")
    if re.search(r"= dictionary[<(]", path.read_text(encoding="utf-8"))
)
IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")


def of_page(name: str) -> dict[str, str]:
    """The literals of a page's dictionary by language: all of what follows the language's key, up to the next one."""
    text = re.sub(
        r"/\*.*?\*/|^ *//[^\n]*", "", (WEB / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    found = dict.fromkeys(LANGUAGES, "")
    places = [(place.start(), place.group(1)) for place in re.finditer(r"^  '?(en|zh-Hant|zh-Hans)'?: \{", text, re.M)]
    ends = [start for start, _ in places[1:]] + [len(text)]
    for (start, language), end in zip(places, ends, strict=True):
        # A dictionary ends where its call does; code may follow it.
        section = text[start:end].split("\n})", 1)[0]
        literals = re.findall(r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`", section)
        found[language] += "\n".join("".join(each) for each in literals) + "\n"
    return found


def of_gateway() -> Iterator[tuple[str, str, str]]:
    """Where a text of the gateway stands, its language, the text."""
    for kind in KINDS.values():
        yield from ((f"hint of {kind.code}", *each) for each in kind.hints.items())
        if kind.figures is not None:
            yield from ((f"hint with figures of {kind.code}", *each) for each in kind.figures.texts.items())
    notices = [(f"notice of {movement}", each) for movement, texts in notice_texts._TEXTS.items() for each in texts]
    parts = (notice_texts._BILL, notice_texts._BILL_EXPECTED, notice_texts._POINTS, notice_texts._NOTHING)
    for place, each in (*notices, *(("a part of notices", part) for part in parts)):
        yield from ((place, *pair) for pair in zip(kinds.LANGUAGES, each, strict=True))
    for code in alarms.CODES:
        for language in kinds.LANGUAGES:
            yield from ((f"alarm {code}", language, text) for text in alarms._WORDS[code][language].values())
    for language, statement in STATEMENT_TEXTS.items():
        yield from ((f"statement's {key}", language, text) for key, text in statement.items())


def unwanted(language: str) -> list[str]:
    return [word for term in GLOSSARY["term"] for word in term.get("instead", {}).get(language, ())]


def in_script(language: str, text: str) -> list[str]:
    """Ideographs of the other script: those that the national character set does not have."""
    charset = {"zh-Hant": "big5hkscs", "zh-Hans": "gb2312"}.get(language)
    if charset is None:
        return []
    return [each for each in IDEOGRAPH.findall(text) if not each.encode(charset, "ignore")]


def test_a_dictionary_is_found_on_every_page() -> None:
    assert {"app/texts.ts", "home/main.tsx", "ops/texts.ts", "scanner/texts.ts", "shared/texts.ts"} <= set(DICTIONARIES)
    assert all(all(of_page(name).values()) for name in DICTIONARIES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DICTIONARIES)
def test_a_page_uses_the_words_of_the_glossary(name: str, language: str) -> None:
    text = of_page(name)[language]
    assert [word for word in unwanted(language) if word in text] == []
    assert in_script(language, text) == []


def test_the_gateway_uses_the_words_of_the_glossary() -> None:
    found = [
        (place, word, text)
        for place, language, text in of_gateway()
        for word in (*unwanted(language), *in_script(language, text))
        if word in text
    ]
    assert found == []


def test_texts_of_the_gateway_need_no_other_word_in_hong_kong() -> None:
    """Pages put Hong Kong's words in themselves (shared/language.ts); the gateway's texts are written with none."""
    found = [(place, text) for place, _, text in of_gateway() if any(word in text for word in GLOSSARY["hong_kong"])]
    assert found == []


def test_the_pages_know_the_words_of_hong_kong() -> None:
    text = (WEB / "shared" / "language.ts").read_text(encoding="utf-8")
    known = re.search(r"HONG_KONG_WORDS[^=]*= \[(.*?)\n\]", text, re.DOTALL)
    assert known is not None
    assert dict(re.findall(r"\['(\S+)', '(\S+)'\]", known.group(1))) == GLOSSARY["hong_kong"]


def test_every_term_is_there_in_the_three_languages_and_forbids_no_word_of_another() -> None:
    for term in GLOSSARY["term"]:
        assert term["thing"]
        for language in LANGUAGES:
            assert term[language], term["thing"]
    for language in LANGUAGES:
        chosen = [term[language] for term in GLOSSARY["term"]]
        assert [word for word in unwanted(language) if any(word in each for each in chosen)] == []


def test_texts_with_places_have_the_same_ones_in_every_language() -> None:
    places: dict[tuple[str, int], list[set[str]]] = {}
    counts: dict[tuple[str, str], int] = {}
    for place, language, text in of_gateway():
        counts[place, language] = counts.get((place, language), 0) + 1
        key = place, counts[place, language]
        places.setdefault(key, []).append(set(re.findall(r"\{\w+\}", text)))
    assert [key for key, found in places.items() if any(each != found[0] for each in found)] == []
