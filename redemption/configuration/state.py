"""The configuration as a state: the wanted one of a group file, the stored one, and the plan from one to the other.

Guarantees: a plan is made and applied for every kind of thing in the same way, from the fields of the file's own types.
A new field of an entry, or of the rules inside one, is compared, shown and stored without a line here, where the table
has a column of the field's name. Applying a plan writes only what differs. Nothing is deleted: what is retired keeps
its row, with the moment, for whatever still names it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import Struct

from redemption.configuration.group import BusinessEntry, Group, OutletEntry, Slug, TerminalEntry, TierEntry
from redemption.database import Connection
from redemption.rules.definitions import BenefitDefinition
from redemption.rules.policy import Policy
from redemption.settlement.definitions import AgreementDefinition

Row = Mapping[str, Any]
"""The columns of one thing, as plain values."""
INSTALLATION: Final = "group"
AGREEMENT: Final = "agreement"
_OF_INSTALLATION: Final[Mapping[str, Any]] = {"time_zone": str, "policy": Policy}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that a group file lists. Its table has its name, the key `<name>_id`, and these columns."""

    name: str
    columns: Mapping[str, Any]
    """The type of each column."""

    @property
    def key(self) -> str:
        return f"{self.name}_id"


def _columns(entry: type[Struct], *apart: str, **more: Any) -> dict[str, Any]:
    """Return the fields of an entry but its id and `apart`, with further columns before them."""
    return more | {each.name: each.type for each in msgspec.structs.fields(entry) if each.name not in ("id", *apart)}


KINDS: Final = (
    Kind("tier", _columns(TierEntry)),
    Kind("business", _columns(BusinessEntry, "outlets")),
    Kind("outlet", _columns(OutletEntry, "terminals", business_id=Slug)),
    Kind("terminal", _columns(TerminalEntry, outlet_id=str)),
    Kind("benefit", {"definition": BenefitDefinition}),
)
"""The kinds in the order in which they are written: each may name the ones before it."""

_PLURALS: Final = {"business": "businesses"}


@dataclass(slots=True)
class State:
    """The things in force: by kind and id the columns; and the ids of each kind that are retired."""

    things: dict[str, dict[str, Row]]
    retired: dict[str, dict[str, Row]] = field(default_factory=dict)
    installation: Row | None = None
    """None: nothing was ever loaded."""
    agreements: dict[str, Any] = field(default_factory=dict)
    """The latest version of each."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that will have another value. `path` is like `rules.earn.per_minor`."""

    kind: str
    thing: str
    path: str
    before: Any
    after: Any


@dataclass(slots=True)
class Plan:
    """The changes of a load to the configuration: (kind, id) of each thing, in the order of `KINDS`."""

    added: list[tuple[str, str]] = field(default_factory=list)
    restored: list[tuple[str, str]] = field(default_factory=list)
    """Retired before, and named by the file again."""
    changed: list[Change] = field(default_factory=list)
    retired: list[tuple[str, str]] = field(default_factory=list)
    still_in_force: list[tuple[str, str]] = field(default_factory=list)
    """Things that are not in the file and stay unchanged."""
    refused: list[str] = field(default_factory=list)
    """The reasons why the whole load is refused."""

    @property
    def changes_anything(self) -> bool:
        return bool(self.added or self.restored or self.changed or self.retired)

    def lines(self) -> list[str]:
        """Return the plan as a person reads it, a line for each thing or field."""
        found = [f"add      {kind} {thing}" for kind, thing in self.added]
        found += [f"restore  {kind} {thing}" for kind, thing in self.restored]
        found += [
            f"change   {change.kind} {change.thing}: {change.path} {_shown(change.before)} -> {_shown(change.after)}"
            for change in self.changed
        ]
        found += [f"retire   {kind} {thing}" for kind, thing in self.retired]
        found += [f"keep     {kind} {thing}: still in force, not in the file" for kind, thing in self.still_in_force]
        return found + [f"refuse   {reason}" for reason in self.refused]

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""

        def named(things: Collection[tuple[str, str]]) -> list[dict[str, str]]:
            return [{"kind": kind, "id": thing} for kind, thing in things]

        return {
            "added": named(self.added),
            "restored": named(self.restored),
            "changed": [
                {"kind": each.kind, "id": each.thing, "field": each.path, "before": each.before, "after": each.after}
                for each in self.changed
            ],
            "retired": named(self.retired),
            "still_in_force": named(self.still_in_force),
            "refused": self.refused,
        }


def wanted_state(group: Group) -> State:
    """Return the state that the file wants, as the store would have it."""
    things: dict[str, dict[str, Row]] = {kind.name: {} for kind in KINDS}
    for tier in group.tiers:
        things["tier"][tier.id] = _row("tier", tier)
    for business in group.businesses:
        things["business"][business.id] = _row("business", business)
        for outlet in business.outlets:
            things["outlet"][outlet.id] = _row("outlet", outlet, business_id=business.id)
            for terminal in outlet.terminals:
                things["terminal"][terminal.id] = _row("terminal", terminal, outlet_id=outlet.id)
    for benefit_id, definition in group.benefits.items():
        things["benefit"][benefit_id] = {"definition": _plain(definition)}
    return State(
        things,
        installation={"time_zone": group.time_zone, "policy": _plain(group.policy)},
        agreements={agreement_id: _plain(definition) for agreement_id, definition in group.agreements.items()},
    )


async def stored_state(connection: Connection) -> State:
    """Read the configuration of the store, in the caller's transaction."""
    state = State({kind.name: {} for kind in KINDS}, {kind.name: {} for kind in KINDS})
    for kind in KINDS:
        rows = await connection.fetch(
            f"SELECT {kind.key}, {', '.join(kind.columns)}, retired_at IS NOT NULL AS retired FROM {kind.name}"  # noqa: S608 - names of KINDS # nosec B608
            f" ORDER BY {kind.key}"
        )
        for row in rows:
            into = state.retired if row["retired"] else state.things
            into[kind.name][row[kind.key]] = {name: _stored(row[name], of) for name, of in kind.columns.items()}
    found = await connection.fetchrow("SELECT time_zone, policy FROM installation")
    if found is not None:
        state.installation = {name: _stored(found[name], of) for name, of in _OF_INSTALLATION.items()}
    for row in await connection.fetch(
        "SELECT DISTINCT ON (agreement_id) agreement_id, definition FROM settlement_agreement_version"
        " ORDER BY agreement_id, version DESC"
    ):
        state.agreements[row["agreement_id"]] = _stored(row["definition"], AgreementDefinition)
    return state


def plan_of(wanted: State, stored: State, *, prune: bool) -> Plan:
    """Return the steps from the stored state to the wanted one. Agreements are never pruned: they are ended."""
    plan = Plan()
    if stored.installation is None:
        plan.added.append((INSTALLATION, "group"))
    else:
        assert wanted.installation is not None
        plan.changed += _changes(INSTALLATION, "group", stored.installation, wanted.installation)
    for kind in KINDS:
        name = kind.name
        for thing, row in wanted.things[name].items():
            before = stored.things[name].get(thing)
            if before is None and thing not in stored.retired[name]:
                plan.added.append((name, thing))
                continue
            if before is None:
                before = stored.retired[name][thing]
                plan.restored.append((name, thing))
            plan.changed += _changes(name, thing, before, row)
        gone = [(name, thing) for thing in stored.things[name] if thing not in wanted.things[name]]
        (plan.retired if prune else plan.still_in_force).extend(gone)
    for thing, definition in wanted.agreements.items():
        if thing not in stored.agreements:
            plan.added.append((AGREEMENT, thing))
        else:
            plan.changed += _changes(AGREEMENT, thing, stored.agreements[thing], definition)
    plan.still_in_force += [(AGREEMENT, thing) for thing in stored.agreements if thing not in wanted.agreements]
    return plan


def state_after(wanted: State, stored: State, *, prune: bool) -> State:
    """Return the state once the plan is applied: the file's things and, unless pruned, the others."""
    if prune:
        return wanted
    return State(
        {kind.name: {**stored.things[kind.name], **wanted.things[kind.name]} for kind in KINDS},
        installation=wanted.installation,
        agreements={**stored.agreements, **wanted.agreements},
    )


async def apply_plan(connection: Connection, plan: Plan, wanted: State, buckets: int) -> None:
    """Write the plan, but for agreements, in the caller's transaction."""
    touched = {*plan.added, *plan.restored, *((change.kind, change.thing) for change in plan.changed)}
    if (INSTALLATION, "group") in touched:
        assert wanted.installation is not None
        await connection.execute(
            "INSERT INTO installation (buckets, time_zone, policy) VALUES ($1, $2, $3) ON CONFLICT (only_row)"
            " DO UPDATE SET time_zone = excluded.time_zone, policy = excluded.policy",
            buckets,
            wanted.installation["time_zone"],
            wanted.installation["policy"],
        )
    for kind in KINDS:
        rows = wanted.things[kind.name]
        written = [(thing, *rows[thing].values()) for name, thing in touched if name == kind.name]
        columns = list(kind.columns)
        if written:
            await connection.executemany(
                f"INSERT INTO {kind.name} ({', '.join([kind.key, *columns])})"  # noqa: S608 - names of KINDS # nosec B608
                f" VALUES ({', '.join(f'${place}' for place in range(1, len(columns) + 2))})"
                f" ON CONFLICT ({kind.key}) DO UPDATE SET retired_at = NULL,"
                f" {', '.join(f'{column} = excluded.{column}' for column in columns)}",
                written,
            )
    for kind in KINDS:
        gone = [thing for name, thing in plan.retired if name == kind.name]
        if gone:
            await connection.execute(
                f"UPDATE {kind.name} SET retired_at = now() WHERE {kind.key} = ANY ($1)",  # noqa: S608 - names of KINDS # nosec B608
                gone,
            )


def group_document(state: State) -> dict[str, Any]:
    """Return a state as a group file without members: in the order of ranks and ids, defaults written out."""
    things = state.things
    installation = state.installation or {}
    outlets: dict[str, list[dict[str, Any]]] = {}
    terminals: dict[str, list[dict[str, Any]]] = {}
    for terminal_id, terminal in sorted(things["terminal"].items()):
        terminals.setdefault(terminal["outlet_id"], []).append({"id": terminal_id, **_without(terminal, "outlet_id")})
    for outlet_id, outlet in sorted(things["outlet"].items()):
        entry = {"id": outlet_id, **_without(outlet, "business_id"), "terminals": terminals.get(outlet_id, [])}
        outlets.setdefault(outlet["business_id"], []).append(entry)
    by_rank = sorted(things["tier"].items(), key=lambda item: item[1]["rank"])
    return {
        **installation,
        "tiers": [{"id": tier_id, **tier} for tier_id, tier in by_rank],
        "businesses": [
            {"id": business_id, **business, "outlets": outlets.get(business_id, [])}
            for business_id, business in sorted(things["business"].items())
        ],
        "benefits": {benefit_id: row["definition"] for benefit_id, row in sorted(things["benefit"].items())},
        "agreements": dict(sorted(state.agreements.items())),
    }


def counted(kind: str, count: int) -> str:
    """Return `1 business`, `2 businesses`."""
    return f"{count} {kind if count == 1 else _PLURALS.get(kind, f'{kind}s')}"


def _changes(kind: str, thing: str, before: Any, after: Any) -> list[Change]:
    return [Change(kind, thing, path, old, new) for path, old, new in _differences(before, after, "")]


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else name
            yield from _differences(before.get(name), after.get(name), inner)
    elif before != after:
        yield path, before, after


def _row(kind: str, entry: Struct, **more: Any) -> Row:
    columns = next(each.columns for each in KINDS if each.name == kind)
    return {name: more[name] if name in more else _plain(getattr(entry, name)) for name in columns}


def _plain(value: Any) -> Any:
    """Return a value of the file's types as JSON has it, defaults written out."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _stored(value: Any, kind: Any) -> Any:
    """Return a stored value as the file would have it: with the defaults of fields that are newer than it."""
    try:
        return _plain(msgspec.convert(value, kind))
    except msgspec.ValidationError:
        return value  # the value is of a version with other rules: it differs from the file's and is written anew


def _without(row: Row, name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
