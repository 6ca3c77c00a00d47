"""Reading the group file: YAML, or JSON where its name ends in `.json`.

Guarantees: a file is taken whole or refused whole, with every fault and its place (up to a bound). What is taken has no
key twice, no character that could not be stored or would turn a till's line about, and fits together
(`redemption.configuration.group.faults_of_group`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from redemption.configuration.document_faults import Fault, faults_of_text, faults_of_type, member_of, sentences
from redemption.configuration.group import Group, GroupFileRefused, faults_of_group
from redemption.configuration.strict_text import DocumentRefused, read_json, read_yaml
from redemption.domain.limits import GROUP_FILE_BYTES_MAX

STATED_TOGETHER: Final = (("points", ("worth_minor", "worth_points")), ("earn", ("points", "per_minor")))
"""Settings of money that a business must state where the group has several currencies: no default fits all."""


@dataclass(frozen=True, slots=True)
class GroupFile:
    """A group, and the settings that its file leaves to defaults of the currency."""

    group: Group
    unstated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The fields of `STATED_TOGETHER` that the file does not state, by business, like `rules.points.worth_minor`."""


def read_group(path: Path) -> GroupFile:
    """Return the file's content, checked. Raises `GroupFileRefused`."""
    try:
        if path.stat().st_size > GROUP_FILE_BYTES_MAX:
            raise GroupFileRefused(
                f"{path} is larger than {GROUP_FILE_BYTES_MAX} bytes; many members come as JSON lines: --members"
            )
        data = path.read_bytes()
    except OSError as fault:
        raise GroupFileRefused(f"{path} cannot be read: {fault.strerror}") from None
    try:
        return parse_group(data, json=path.suffix == ".json")
    except GroupFileRefused as fault:
        raise GroupFileRefused(f"{path}: {fault}") from None


def parse_group(data: bytes, *, json: bool = False) -> GroupFile:
    """Return the content of a group file of these bytes, checked. Raises `GroupFileRefused` with every fault."""
    try:
        document = read_json(data) if json else read_yaml(data)
    except DocumentRefused as fault:
        raise GroupFileRefused(str(fault)) from None
    faults: list[Fault | str] = [str(duplicate) for duplicate in document.duplicates]
    faults += faults_of_text(document.value)
    faults += faults_of_type(document.value, Group)
    if not faults:
        group = msgspec.convert(document.value, Group)
        unstated = _unstated(document.value)
        faults += faults_of_group(group)
        faults += mixed_currencies({each.id: each.currency for each in group.businesses}, unstated)
        if not faults:
            return GroupFile(group, unstated)
    raise GroupFileRefused(_joined(faults))


def mixed_currencies(currencies: Mapping[str, str], unstated: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    """Find the businesses that do not state the value of points in money, where a group has several currencies.

    `currencies`: of every business that will be in force.
    """
    if len(set(currencies.values())) < 2:
        return []
    return [
        Fault(
            f"business {business} ({currencies[business]})",
            f"{', '.join(fields)} must be stated: the group has businesses in"
            f" {', '.join(sorted(set(currencies.values())))}, and no default is right for all of them",
        )
        for business, fields in unstated.items()
        if fields and business in currencies
    ]


def _unstated(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the fields of `STATED_TOGETHER` that each business of a valid document leaves out."""
    found = {}
    for business in document["businesses"]:
        rules = business.get("rules") or {}
        missing = []
        for part, fields in STATED_TOGETHER:
            said = rules.get(part) or {}
            if said.get("accepted") is False or (part == "earn" and said.get("points") == 0):
                continue  # the business takes no points, or nothing is earned there, so no value is needed
            missing += [member_of(f"rules.{part}", field) for field in fields if field not in said]
        found[business["id"]] = tuple(missing)
    return found


def _joined(faults: list[Fault | str]) -> str:
    found = sentences(faults)
    return found[0] if len(faults) == 1 else "\n  ".join([f"{len(faults)} faults", *found])
