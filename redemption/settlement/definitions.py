"""Agreements between businesses: the price that the issuer pays the acceptor for a use, from a day on.

Plain immutable values; msgspec refuses what breaks a limit, with its place. Which one counts for a use is decided by
`Agreements.find`: the most specific scope that has a version in force on the local day of the use. In this order

1. the benefit is named, 2. its category is named, 3. neither;
   and within each: both businesses named, the issuer named, the acceptor named, neither ("*").

No two agreements have the same scope, so there is always one answer. Within an agreement the highest version that has
begun counts; where that one has ended, the next scope is asked.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from redemption.domain.commands import BenefitId, Category
from redemption.domain.limits import AMOUNT_MINOR_MAX
from redemption.domain.redemptions import BENEFIT_PREFIX, POINTS

AGREEMENTS_MAX: Final = 10_000
"""Versions of all agreements: what a settling process reads at a change."""
ANY: Final = "*"

Instrument = Literal["points", "benefit", "stored_value"]
Rounding = Literal["half_up", "down"]
Party = Annotated[str, Meta(pattern=r"^(?:\*|[a-z][a-z0-9_-]{0,31})$", description='a business, or "*" for any')]
Money = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX, description="minor units of the acceptor's currency")]
BasisPoints = Annotated[int, Meta(ge=0, le=20_000, description="10 000 is the whole")]
AgreementId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class AgreedPrice(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="agreed_price"):
    """`price_minor` for every `per_units` units, whatever their face value."""

    price_minor: Money
    per_units: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class PurchasePrice(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="purchase_price"):
    """The acceptor's own cost of what it hands out: `price_minor` for every `per_units` units."""

    price_minor: Money
    per_units: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Proportion(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="proportion"):
    """A share of the face value, which is what the use took off the bill."""

    basis_points: BasisPoints


class FixedFee(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed_fee"):
    """A fee a use: for each unit of a benefit; for points and stored value a redemption, its issuers sharing by
    units."""

    fee_minor: Money


Rule = AgreedPrice | PurchasePrice | Proportion | FixedFee


class AgreementDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of an agreement. `valid_until` is the last day. `cap_minor` bounds each line before tax."""

    issuer: Party
    acceptor: Party
    instrument: Instrument
    rule: Rule
    valid_from: datetime.date
    valid_until: datetime.date | None = None
    benefit: BenefitId | None = None
    category: Category | None = None
    cap_minor: Money | None = None
    tax_basis_points: BasisPoints = 0
    rounding: Rounding = "half_up"


Scope = tuple[str, str, str, str | None, str | None]
"""Issuer, acceptor, instrument, benefit, category."""


def scope_of(definition: AgreementDefinition) -> Scope:
    """Return the scope of an agreement: its businesses and what it is about."""
    return (
        definition.issuer,
        definition.acceptor,
        definition.instrument,
        definition.benefit,
        definition.category,
    )


def faults_of(definition: AgreementDefinition, businesses: Sequence[str] | set[str]) -> list[str]:
    """Return what is wrong with it beyond single fields, in sentences."""
    wrong = [
        f"{name} names no business: {party!r}"
        for name, party in (("issuer", definition.issuer), ("acceptor", definition.acceptor))
        if party != ANY and party not in businesses
    ]
    if definition.issuer == definition.acceptor != ANY:
        wrong.append("issuer and acceptor are one business: its own use is not paid for")
    if definition.instrument != "benefit" and (definition.benefit is not None or definition.category is not None):
        wrong.append(f"a benefit or category is named, but the instrument is {definition.instrument}")
    if definition.benefit is not None and definition.category is not None:
        wrong.append("benefit and category cannot both be named")
    if definition.valid_until is not None and definition.valid_until < definition.valid_from:
        wrong.append("valid_until is before valid_from")
    return wrong


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of an agreement as it is stored. `serial` grows with every version of any agreement."""

    agreement_id: str
    version: int
    serial: int
    definition: AgreementDefinition


def instrument_of(asset: str) -> Instrument:
    """Return the instrument of a ledger asset: `points`, `benefit:<id>` or a currency."""
    if asset == POINTS:
        return "points"
    return "benefit" if asset.startswith(BENEFIT_PREFIX) else "stored_value"


@dataclass(frozen=True, slots=True)
class Agreements:
    """All versions there are, and the categories each benefit names. A snapshot."""

    by_scope: Mapping[Scope, Sequence[Agreement]]
    """The versions of each scope, highest first."""
    categories: Mapping[str, Sequence[str]]
    serial: int
    _found: dict[tuple[str, str, str, datetime.date], Agreement | None] = field(default_factory=dict)

    def find(self, issuer: str, acceptor: str, asset: str, day: datetime.date) -> Agreement | None:
        """Return the agreement for a use on that local day, or None."""
        key = (issuer, acceptor, asset, day)
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, issuer: str, acceptor: str, asset: str, day: datetime.date) -> Agreement | None:
        instrument = instrument_of(asset)
        subjects: list[tuple[str | None, str | None]] = [(None, None)]
        if instrument == "benefit":
            benefit_id = asset.removeprefix(BENEFIT_PREFIX)
            named = [(None, category) for category in sorted(self.categories.get(benefit_id, ()))]
            subjects = [(benefit_id, None), *named, *subjects]
        for benefit, category in subjects:
            for pair in ((issuer, acceptor), (issuer, ANY), (ANY, acceptor), (ANY, ANY)):
                found = in_force(self.by_scope.get((*pair, instrument, benefit, category), ()), day)
                if found is not None:
                    return found
        return None


def in_force(versions: Sequence[Agreement], day: datetime.date) -> Agreement | None:
    """Return the version in force on a day, from one scope's versions, highest first."""
    for agreement in versions:
        if agreement.definition.valid_from <= day:
            until = agreement.definition.valid_until
            return agreement if until is None or day <= until else None
    return None
