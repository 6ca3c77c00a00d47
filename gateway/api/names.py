"""Names of businesses, outlets and benefits in the language of a caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from gateway.problems.documents import Problem, language_of
from gateway.problems.kinds import Language
from redemption.configuration.display_names import DisplayNames, GroupNames, Names, NamesAway
from redemption.domain.redemptions import BENEFIT_PREFIX

Name = Annotated[str, Meta(description="in the language of Accept-Language")]


class BusinessName(Struct):
    """A business and its name."""

    business_id: str
    name: Name


class OutletName(Struct):
    """An outlet and its name."""

    outlet_id: str
    name: Name


@dataclass(frozen=True, slots=True)
class LocalizedNames:
    """The group's names in one language. Where there is no name the id is shown."""

    language: Language
    businesses: Mapping[str, str]
    outlets: Mapping[str, str]
    benefits: Mapping[str, str]

    def business(self, business_id: str | None) -> BusinessName | None:
        """Return a business with its name; None for None."""
        if business_id is None:
            return None
        return BusinessName(business_id=business_id, name=self.businesses.get(business_id, business_id))

    def outlet(self, outlet_id: str | None) -> OutletName | None:
        """Return an outlet with its name; None for None."""
        return None if outlet_id is None else OutletName(outlet_id, self.outlets.get(outlet_id, outlet_id))

    def benefit_of(self, asset: str) -> tuple[str, str]:
        """Return id and name of the benefit that an asset (`benefit:<id>`) is of."""
        benefit_id = asset.removeprefix(BENEFIT_PREFIX)
        return benefit_id, self.benefits.get(benefit_id, benefit_id)


async def group_names(names: DisplayNames) -> GroupNames:
    """Return the names in force. Raises `unavailable` where none were read yet and PostgreSQL does not answer."""
    try:
        return await names.current()
    except NamesAway:
        raise Problem("unavailable", "The names cannot be read: PostgreSQL does not answer") from None


async def localized_names(names: DisplayNames, accept_language: str | None) -> LocalizedNames:
    """Return the names in force in the caller's language. Raises as `group_names`."""
    return localized(await group_names(names), language_of(accept_language))


def localized(names: GroupNames, language: Language) -> LocalizedNames:
    """Choose the names of one language, or of another where a thing has none in it."""
    return LocalizedNames(
        language,
        {each.business_id: name_in(each.name, language) for each in names.businesses},
        {outlet.outlet_id: name_in(outlet.name, language) for each in names.businesses for outlet in each.outlets},
        {benefit_id: name_in(name, language) for benefit_id, name in (names.benefits or {}).items()},
    )


def name_in(names: Names, language: Language) -> str:
    """Return a name in this language, or the first of its others."""
    return names.get(language) or next(iter(names.values()))
