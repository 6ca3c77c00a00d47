"""The history of each redemption as the tills were told it: what was taken, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field

from tests.drills.journal import Record


@dataclass
class History:
    """What the journal says of one redemption: taken, and what became of it."""

    takes: dict[str, int]
    hold: bool
    captured: dict[str, int] | None = None
    voided: bool = False
    refunded: Counter[str] = field(default_factory=Counter)
    refunded_all: bool = False
    cancelled: bool = False


def histories(record: Record) -> dict[str, History]:
    """By redemption id, from acknowledged calls alone."""
    found: dict[str, History] = {}
    subject_of: dict[int, str] = {}
    for entry in record.of_kind("verify", "hold"):
        for answer in entry.answers:
            if answer.outcome == "applied":
                subject_of[entry.intent.n] = answer.subject
                found[answer.subject] = History(dict(entry.intent.takes or {}), entry.intent.kind == "hold")
    for entry in record.of_kind("cancel"):
        if entry.settled is None or entry.settled.body.get("effect") != "reversed":
            continue
        subject = subject_of.get(entry.intent.of) or str(entry.settled.body["redemption"]["redemption_id"])
        of = record.entries[entry.intent.of].intent
        found.setdefault(subject, History(dict(of.takes or {}), of.kind == "hold")).cancelled = True
    for entry in record.of_kind("capture", "void", "refund"):
        if entry.outcome != "applied" or entry.intent.subject not in found:
            continue
        history, part = found[entry.intent.subject], entry.intent.takes
        if entry.intent.kind == "void":
            history.voided = True
        elif entry.intent.kind == "capture":
            history.captured = dict(history.takes if part is None else part)
        elif part is None:
            history.refunded_all = True
        else:
            history.refunded.update(part)
    return found


def statuses(history: History) -> set[str]:
    """What a look-up may answer of it."""
    if history.cancelled:
        return {"reversed", "voided", "expired", "refunded"}
    if history.voided:
        return {"voided"}
    if history.hold and history.captured is None:
        return {"held", "expired"}
    if history.refunded_all:
        return {"refunded"}
    if not history.refunded:
        return {"captured"}
    taken = history.takes if history.captured is None else history.captured
    whole = all(history.refunded[asset] == amount for asset, amount in taken.items())
    return {"refunded"} if whole else {"partially_refunded"}
