"""Which agreement counts, and what an agreement may not say."""

import datetime
from typing import Any

import msgspec
import pytest

from redemption.settlement.definitions import Agreement, AgreementDefinition, Agreements, faults_of, scope_of
from tests.support.settlement.settlement import definition

RULE = {"kind": "proportion", "basis_points": 10_000}
DAY = datetime.date(2026, 11, 22)


def agreements(*definitions: AgreementDefinition) -> Agreements:
    """Named a, b, c …; of the same scope the later ones are further versions."""
    by_scope: dict[Any, list[Agreement]] = {}
    for number, one in enumerate(definitions):
        versions = by_scope.setdefault(scope_of(one), [])
        name = versions[0].agreement_id if versions else "abcdefghijkl"[number]
        versions.insert(0, Agreement(name, len(versions) + 1, number, one))
    return Agreements(by_scope, {"breakfast": ["lodging", "dining"]}, len(definitions))


def found(book: Agreements, asset: str, day: datetime.date = DAY) -> str | None:
    agreement = book.find("hotel", "mall", asset, day)
    return None if agreement is None else f"{agreement.agreement_id}{agreement.version}"


def test_the_subject_decides_before_the_businesses_and_the_issuer_before_the_acceptor() -> None:
    order = [
        {"benefit": "breakfast", "issuer": "hotel", "acceptor": "mall"},
        {"benefit": "breakfast", "issuer": "hotel"},
        {"benefit": "breakfast", "acceptor": "mall"},
        {"benefit": "breakfast"},
        {"category": "dining", "issuer": "hotel", "acceptor": "mall"},
        {"category": "dining"},
        {"category": "lodging", "issuer": "hotel", "acceptor": "mall"},
        {"issuer": "hotel", "acceptor": "mall"},
        {"issuer": "hotel"},
        {"acceptor": "mall"},
        {},
    ]
    all_of_them = [definition(instrument="benefit", rule=RULE, **fields) for fields in order]
    for start in range(len(order)):
        book = agreements(*reversed(all_of_them[start:]))
        agreement = book.find("hotel", "mall", "benefit:breakfast", DAY)
        assert agreement is not None
        assert agreement.definition == all_of_them[start]


def test_an_instrument_is_settled_by_its_own_agreements_only() -> None:
    book = agreements(definition(instrument="points", rule=RULE), definition(instrument="stored_value", rule=RULE))
    assert (found(book, "points"), found(book, "CNY"), found(book, "benefit:breakfast")) == ("a1", "b1", None)


def test_the_highest_version_that_has_begun_counts_and_an_ended_one_counts_no_more() -> None:
    book = agreements(
        definition(instrument="points", rule=RULE, issuer="hotel"),
        definition(instrument="points", rule=RULE, issuer="hotel", valid_from="2026-11-10", valid_until="2026-11-20"),
        definition(instrument="points", rule=RULE, issuer="hotel", valid_from="2026-12-01"),
        definition(instrument="points", rule=RULE),
    )
    days = ("2025-12-31", "2026-11-09", "2026-11-10", "2026-11-20", "2026-11-21", "2026-12-01")
    answers = [found(book, "points", datetime.date.fromisoformat(day)) for day in days]
    assert answers == [None, "a1", "a2", "a2", "d1", "a3"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"issuer": "spa"}, "names no business"),
        ({"issuer": "hotel", "acceptor": "hotel"}, "own use"),
        ({"instrument": "points", "benefit": "breakfast"}, "instrument is points"),
        ({"benefit": "breakfast", "category": "dining"}, "cannot both"),
        ({"valid_until": "2025-12-31"}, "before valid_from"),
    ],
)
def test_what_an_agreement_cannot_say_is_named(fields: dict[str, Any], fault: str) -> None:
    one = definition(**{"instrument": "benefit", "rule": RULE, **fields})
    assert any(fault in text for text in faults_of(one, {"hotel", "mall"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": {"kind": "proportion"}},
        {"rule": {"kind": "proportion", "basis_points": -1}},
        {"rule": {"kind": "agreed_price", "price_minor": 1, "per_units": 0}},
        {"rule": {"kind": "gift"}},
        {"tax_basis_points": 20_001},
        {"rounding": "up"},
        {"issuer": "Hotel"},
        {"colour": "red"},
    ],
)
def test_what_breaks_a_limit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        definition(**{"instrument": "points", "rule": RULE, **fields})
