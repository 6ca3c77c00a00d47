"""The story of each redemption as the tills were told it: what was taken, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field

from tests.drills.journal import Record


@dataclass
class Story:
    """What the journal says of one redemption: taken, and what became of it."""

    takes: dict[str, int]
    hold: bool
    captured: dict[str, int] | None = None
    voided: bool = False
    refunded: Counter[str] = field(default_factory=Counter)
    refunded_all: bool = False
    cancelled: bool = False


def stories(record: Record) -> dict[str, Story]:
    """By redemption id, from acknowledged calls alone."""
    found: dict[str, Story] = {}
    subject_of: dict[int, str] = {}
    for entry in record.of_kind("verify", "hold"):
        for answer in entry.answers:
            if answer.outcome == "applied":
                subject_of[entry.intent.n] = answer.subject
                found[answer.subject] = Story(dict(entry.intent.takes or {}), entry.intent.kind == "hold")
    for entry in record.of_kind("cancel"):
        if entry.settled is None or entry.settled.body.get("effect") != "reversed":
            continue
        subject = subject_of.get(entry.intent.of) or str(entry.settled.body["redemption"]["redemption_id"])
        of = record.entries[entry.intent.of].intent
        found.setdefault(subject, Story(dict(of.takes or {}), of.kind == "hold")).cancelled = True
    for entry in record.of_kind("capture", "void", "refund"):
        if entry.outcome != "applied" or entry.intent.subject not in found:
            continue
        story, part = found[entry.intent.subject], entry.intent.takes
        if entry.intent.kind == "void":
            story.voided = True
        elif entry.intent.kind == "capture":
            story.captured = dict(story.takes if part is None else part)
        elif part is None:
            story.refunded_all = True
        else:
            story.refunded.update(part)
    return found


def statuses(story: Story) -> set[str]:
    """What a look-up may answer of it."""
    if story.cancelled:
        return {"reversed", "voided", "expired", "refunded"}
    if story.voided:
        return {"voided"}
    if story.hold and story.captured is None:
        return {"held", "expired"}
    if story.refunded_all:
        return {"refunded"}
    if not story.refunded:
        return {"captured"}
    taken = story.takes if story.captured is None else story.captured
    whole = all(story.refunded[asset] == amount for asset, amount in taken.items())
    return {"refunded"} if whole else {"partially_refunded"}
