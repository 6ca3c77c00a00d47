"""Checks of the pool of benefits as a whole, which no single definition can make, and the categories it names.

Guarantees: a catalogue without findings names only things that exist, can be used on some day, and counts its money in
one currency per benefit. Does not guarantee that it is what the group meant.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from redemption.domain.limits import BILL_LINES_MAX
from redemption.domain.redemptions import POINTS
from redemption.rules.definitions import BenefitDefinition, EarnRules, NoDiscount
from redemption.rules.eligibility import Place


def check_catalogue(
    catalogue: Mapping[str, BenefitDefinition],
    *,
    currencies: Mapping[str, str],
    outlets: Mapping[str, str],
    tiers: Collection[str],
) -> list[str]:
    """Return the faults, a sentence each. `currencies`: business to its currency; `outlets`: outlet to its business."""
    found: list[str] = []
    for benefit_id, definition in catalogue.items():
        if benefit_id == POINTS:
            found.append(f"benefit {POINTS}: the id stands for points themselves; take another")
        sentences = (
            *_unknown_names(definition, catalogue, currencies, outlets, tiers),
            *_contradictions(benefit_id, definition, outlets),
            *_mixed_currencies(definition, currencies, outlets),
        )
        found.extend(f"benefit {benefit_id}: {sentence}" for sentence in sentences)
    return found


def _unknown_names(
    definition: BenefitDefinition,
    catalogue: Mapping[str, BenefitDefinition],
    currencies: Mapping[str, str],
    outlets: Mapping[str, str],
    tiers: Collection[str],
) -> Iterator[str]:
    if definition.granted_by not in currencies:
        yield f"granted_by: there is no business {definition.granted_by}"
    for business in definition.businesses or ():
        if business not in currencies:
            yield f"businesses: there is no business {business}"
    for outlet in definition.outlets or ():
        if outlet not in outlets:
            yield f"outlets: there is no outlet {outlet}"
    if definition.minimum_tier is not None and definition.minimum_tier not in tiers:
        yield f"minimum_tier: there is no tier {definition.minimum_tier}"
    for other in definition.excludes:
        if other != POINTS and other not in catalogue:
            yield f"excludes: there is no benefit {other}"


def _contradictions(benefit_id: str, definition: BenefitDefinition, outlets: Mapping[str, str]) -> Iterator[str]:
    if benefit_id in definition.excludes:
        yield "excludes itself; a basket has a benefit only once anyway"
    first, last = definition.first_day, definition.last_day
    if first is not None and last is not None and last < first:
        yield f"last_day {last} is before first_day {first}"
    for hours in definition.hours or ():
        if hours.start == hours.end:
            yield f"hours: from {hours.start} to {hours.end} is no time; leave hours out for the whole day"
    if definition.businesses is not None:
        for outlet in definition.outlets or ():
            if outlet in outlets and outlets[outlet] not in definition.businesses:
                yield f"outlets: {outlet} belongs to {outlets[outlet]}, which is not among businesses"
    for field in ("businesses", "outlets", "categories", "weekdays", "excludes"):
        for name in _twice(getattr(definition, field) or ()):
            yield f"{field}: {name} is a duplicate"


def _mixed_currencies(
    definition: BenefitDefinition, currencies: Mapping[str, str], outlets: Mapping[str, str]
) -> Iterator[str]:
    if isinstance(definition.discount, NoDiscount) and definition.minimum_spend_minor == 0:
        return
    if definition.outlets is not None:
        places: Iterable[str] = (outlets[outlet] for outlet in definition.outlets if outlet in outlets)
    else:
        places = currencies if definition.businesses is None else definition.businesses
    found = sorted({currencies[business] for business in places if business in currencies})
    if len(found) > 1:
        yield f"its amounts would be read as {' and as '.join(found)}; name businesses of one currency"


def _twice(names: Iterable[object]) -> list[object]:
    return [name for name, count in Counter(names).items() if count > 1]


def categories_at(place: Place, earn: EarnRules, catalogue: Mapping[str, BenefitDefinition]) -> tuple[str, ...]:
    """Return the categories that a rule names for bills of this outlet: of benefits that may be used here, of its terms
    for points, of its terms for earning. In order, at most as many as a bill has lines."""
    found = {*(place.points.categories or ()), *earn.categories}
    for definition in catalogue.values():
        if definition.categories is not None and may_be_used_at(place, definition):
            found.update(definition.categories)
    return tuple(sorted(found)[:BILL_LINES_MAX])


def may_be_used_at(place: Place, definition: BenefitDefinition) -> bool:
    """Return whether the benefit may be used at this outlet of this business at all."""
    return (definition.businesses is None or place.business_id in definition.businesses) and (
        definition.outlets is None or place.outlet_id in definition.outlets
    )
