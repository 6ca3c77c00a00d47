"""The expected state of a member's keys against the hot store: every field that differs, with both sides."""

from typing import Any, Final

from redemption.hot import keys
from redemption.ledger.expected_state import ExpectedState, Who
from redemption.ledger.findings import Finding
from redemption.ledger.freezing import Client

NUMBERS: Final = ("held", "growth", "owed")
"""Fields of a member that are nothing and not there alike."""
NOT_IN_THE_LEDGER: Final = ("codes_valid_from", "seen", "counted")
"""`counted` names the counters of an accrual; those of before it was kept have none. Earlier versions kept `seen`."""
CONTENT_CHARACTERS_MAX: Final = 200


async def key_differences(client: Client, who: Who, image: ExpectedState) -> list[Finding]:
    """Return what a rebuild of this member would change in the hot store."""
    names = list(dict.fromkeys([*image.hashes, keys.lots(who.bucket, who.member_id)]))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(name)
    for name in image.strings:
        pipeline.get(name)
    for redemption_id in image.holds:
        pipeline.zscore(keys.holds(who.bucket), redemption_id)
    replies = await pipeline.execute()
    found: list[Finding] = []
    for name, stored in zip(names, replies, strict=False):
        found += _fields(name, who, image.hashes.get(name, {}), stored)
    rest = replies[len(names) :]
    for (name, text), stored in zip(image.strings.items(), rest, strict=False):
        found += _one(name, who, text, None if stored is None else stored.decode())
    for (redemption_id, deadline), score in zip(image.holds.items(), rest[len(image.strings) :], strict=True):
        found += _one(f"hold {redemption_id} deadline", who, str(deadline), None if score is None else str(int(score)))
    return found


def _fields(name: str, who: Who, wanted: dict[str, str], stored: Any) -> list[Finding]:
    has = {field.decode(): value.decode(errors="replace") for field, value in stored.items()}
    found: list[Finding] = []
    for field in sorted(wanted.keys() | has.keys()):
        if field in NOT_IN_THE_LEDGER:
            continue
        here, there = has.get(field), wanted.get(field)
        if field in NUMBERS and name == keys.member(who.bucket, who.member_id):
            here, there = here or "0", there or "0"
        found += _one(f"{name} {field}", who, there, here)
    return found


def _one(subject: str, who: Who, wanted: str | None, has: str | None) -> list[Finding]:
    if wanted == has:
        return []
    return [Finding("I8", subject, f"hot store {_shown(has)}", f"ledger {_shown(wanted)}", who.bucket)]


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value[:CONTENT_CHARACTERS_MAX]
