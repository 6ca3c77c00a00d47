"""The journal of a drill: a file with one line for each intent, on disk before the call is sent, and one for its
answer.

Guarantees: a call of which the journal knows nothing was never sent. The judge reads the file, not the tills' memory.

A line is a JSON object. First `{"members": {id: bucket}, "began": unix seconds}`; then, in any order, intents
(`"intent": {…}`), answers (`"heard": status, "body": …, "digest": …`) and silence (`"lost": why`), each with the
intent's `n`; and streams as they were seen (`"seen": [bucket, entry id, {field: value}]`).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]
Outcome = Literal["unknown", "applied", "refused", "turned_away"]
"""`turned_away`: nothing was applied and the same key may still be (429, 503); `refused` is for good."""


@dataclass
class Intent:
    """One call that will be sent. `takes` is what the basket takes of each asset, or the step moves (None: all)."""

    n: int
    kind: str  # verify hold capture void refund cancel accrue reverse_accrual reuse
    terminal_id: str
    path: str
    body: Json | None
    key: str | None
    member_id: str
    code: str = ""
    takes: dict[str, int] | None = None
    subject: str = ""  # the redemption or accrual a step is for
    of: int = 0  # the intent that a cancel, a repeat of its key or of its code is about
    hold_seconds: int = 0
    expected: str = ""  # the only code of refusal it may get


@dataclass
class Answer:
    """What was heard: by whom it can be known what happened."""

    status: int
    body: Json
    digest: str
    replayed: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.status < 300:
            return "applied"
        if self.body.get("outcome") != "not_applied":
            return "unknown"
        return "turned_away" if self.status in (429, 503) else "refused"

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))

    @property
    def subject(self) -> str:
        """Id of the redemption or accrual in the answer."""
        return str(self.body.get("redemption_id") or self.body.get("accrual_id") or "")


@dataclass
class Entry:
    """An intent with every answer it got, in order."""

    intent: Intent
    answers: list[Answer] = field(default_factory=list)
    silences: int = 0
    """Attempts of which nothing was heard."""

    @property
    def settled(self) -> Answer | None:
        """The first answer that says for good what happened."""
        return next((answer for answer in self.answers if answer.outcome in ("applied", "refused")), None)

    @property
    def outcome(self) -> Outcome:
        if self.settled is not None:
            return self.settled.outcome
        if self.answers and not self.silences and all(answer.outcome == "turned_away" for answer in self.answers):
            return "turned_away"
        return "unknown"


@dataclass
class Record:
    """The whole file, read back."""

    members: dict[str, int]
    entries: dict[int, Entry]
    seen: list[tuple[int, str, dict[str, str]]]

    def of_kind(self, *kinds: str) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.intent.kind in kinds)


class Journal:
    """Open for writing while the drill runs. Calls are counted from 1."""

    def __init__(self, path: Path, members: Mapping[str, int]) -> None:
        self.path = path
        self.sent = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._write({"members": dict(members)}, durable=True)

    def intend(self, intent: Intent) -> None:
        """On disk when this returns."""
        self._write({"intent": asdict(intent), "n": intent.n}, durable=True)
        self.sent += 1

    def heard(self, n: int, status: int, content: bytes, *, replayed: bool) -> Answer:
        answer = Answer(status, _document(content), hashlib.blake2b(content, digest_size=16).hexdigest(), replayed)
        self._write(
            {"n": n, "heard": status, "body": answer.body, "digest": answer.digest, "replayed": replayed}, durable=False
        )
        return answer

    def lost(self, n: int, why: str) -> None:
        self._write({"n": n, "lost": why}, durable=False)

    def saw(self, bucket: int, entry: str, fields: Mapping[str, str]) -> None:
        """An entry of a stream, as somebody beside the product read it."""
        self._write({"seen": [bucket, entry, dict(fields)]}, durable=False)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: Json, *, durable: bool) -> None:
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        if durable:
            os.fdatasync(self._file)


@contextmanager
def open_journal(path: Path, members: Mapping[str, int]) -> Iterator[Journal]:
    journal = Journal(path, members)
    try:
        yield journal
    finally:
        journal.close()


def read_journal(path: Path) -> Record:
    """The file as it is on disk."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    record = Record(lines[0]["members"], {}, [])
    for line in lines[1:]:
        if "intent" in line:
            record.entries[line["n"]] = Entry(Intent(**line["intent"]))
        elif "heard" in line:
            answer = Answer(line["heard"], line["body"], line["digest"], line["replayed"])
            record.entries[line["n"]].answers.append(answer)
        elif "lost" in line:
            record.entries[line["n"]].silences += 1
        else:
            bucket, entry, fields = line["seen"]
            record.seen.append((bucket, entry, fields))
    return record


def _document(content: bytes) -> Json:
    try:
        found = json.loads(content)
    except ValueError:
        return {"unreadable": content[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {"unreadable": found}
