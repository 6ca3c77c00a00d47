"""What must hold after every call of the engine's state machine, the real engine beside the model.

The answer, the ledger entries and all that is left in the hot store are what the model says. On top of that the
invariants are held against the store alone: I1 (replaying the stream gives the lots and what is held), I2 (nothing
negative, uses within limits), I4 (a refused call left every key but marks byte for byte as it was), I9 (a hold is open
until its deadline, then ends once), I11 (one code, one use), I12 (a tombstoned or refused key never applied).
"""

from collections import Counter
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from redemption.domain import limits
from redemption.domain.members import bucket_of, member_id
from redemption.domain.records import record_fields
from redemption.hot import keys
from tests.support.engine import world
from tests.support.engine.commands import Purchase, Scan, Step
from tests.support.engine.driver import Engine
from tests.support.engine.model import Answer
from tests.support.engine.model_steps import EngineModel

DAY = 86_400


class Checked(RuleBasedStateMachine):
    """`engine` is set by who runs it; `steps` and `applied` count over all examples."""

    engine: ClassVar[Engine]
    steps: ClassVar[int] = 0
    applied: ClassVar[Counter[str]] = Counter()
    model: EngineModel
    calls_since: int
    before: list[list[Any]]
    dead_keys: dict[tuple[str, str], tuple[str | None, int]]
    replayed: Counter[tuple[str, str, str, str]]
    uses_of_codes: Counter[tuple[int, int, str]]

    def settle(self, name: str, actual: Answer, expected: Answer, call: Scan | Purchase | Step | None = None) -> None:
        """The answer is the model's; then everything that it left behind."""
        Checked.steps += 1
        self.calls_since += 1
        verdict = actual[1].name.lower() if actual[0] == "refused" else actual[0]
        Checked.applied[f"{name} {verdict}{' again' if actual[-1] is True else ''}"] += 1
        assert actual == expected, f"{name} answered {actual}, the model says {expected}"
        unchanged = actual[0] in ("refused", "not found") or actual[-1] is True
        if call is not None and call.key is not None:
            self.check_key(call, actual, unchanged)
        self.look_at_everything(changed=not unchanged or bool(self.model.entries))

    def check_key(self, call: Scan | Purchase | Step, actual: Answer, unchanged: bool) -> None:
        """I12: what was refused never applies under that key; under a tombstone nothing at all does: for two hours what
        has a code, which is long over by then, and for 30 days what has none."""
        terminal_id, key, fingerprint = call.terminal.terminal_id, call.key, call.fingerprint
        assert key is not None
        dead, since = self.dead_keys.get((terminal_id, key), ("", 0))
        has_code = not isinstance(call, Step) and call.code is not None
        lasts = limits.TOMBSTONE_SECONDS if has_code else limits.REDEMPTION_RETENTION_SECONDS
        may = unchanged or (dead != fingerprint and (dead is not None or since + lasts <= self.model.age))
        assert may, "I12: a refused or tombstoned key applied"
        if actual[0] == "refused" and actual[1].name not in ("RATE_LIMITED", "IDEMPOTENCY_KEY_REUSED", "CANCELLED"):
            self.dead_keys.setdefault((terminal_id, key), (fingerprint, 0))

    def look_at_everything(self, *, changed: bool) -> None:
        found = self.engine.dump()
        if not changed:
            assert found == self.before, "I4: a refused call changed something"
        self.before = [row if not row[0].endswith(b":ledger") else [row[0], row[1], []] for row in found]
        self.check_entries(found)
        self.check_state(found)

    def check_entries(self, found: list[list[Any]]) -> None:
        """Check the streams against the model; their replay gives the lots and the amounts held (I1)."""
        entered = []
        for name, length, new in found:
            if name.endswith(b":ledger"):
                self.engine.seen[name] = length
                for _, flat in reversed(new):
                    version, packed = flat
                    assert version == b"2"
                    names = ("kind", "id", "member", "at", "moves", "context")
                    entry = dict(zip(names, packed.decode().split("\n"), strict=True))
                    moves = [tuple(move.split(",")) for move in entry["moves"].split(";") if move]
                    for asset, lot, start, end, amount in moves:
                        assert int(amount) > 0
                        self.replayed[entry["member"], asset, lot, start] -= int(amount)
                        self.replayed[entry["member"], asset, lot, end] += int(amount)
                    typed = tuple(sorted((a, lot, start, end, int(amount)) for a, lot, start, end, amount in moves))
                    entered.append((entry["kind"], entry["id"], entry["member"], typed))
                    assert entry["at"] == str(self.model.now_ms)
        assert entered == self.model.entries, "the ledger entries are not the model's"
        self.model.entries.clear()

    def check_state(self, found: list[list[Any]]) -> None:
        """All of the hot store but marks, as the model has it; and the invariants."""
        store: dict[str, dict[str, str]] = {}
        for name, content, _ in found:
            if not name.endswith(b":ledger") and isinstance(content, list):
                store[name.decode()] = {content[i].decode(): content[i + 1].decode() for i in range(0, len(content), 2)}
            elif b":redemption:" in name:
                store[name.decode()] = record_fields(content)
        model = self.model
        held: Counter[tuple[str, str, str]] = Counter()
        holds: dict[int, dict[str, str]] = {bucket: {} for bucket in range(world.BUCKETS)}
        for subject, record in model.records.items():
            bucket = bucket_of(record.member, world.BUCKETS)
            row = store.get(keys.redemption(bucket, subject))
            assert (row is not None) == (record.dies > model.age), f"{subject} is kept too long or not long enough"
            if row is None:
                continue
            assert row["status"] == record.status, subject
            for name in ("captured", "refunded"):
                if name in row and record.parts:
                    told = [int(amount) for amount in row[name].split(";")]
                    assert told == [getattr(part, name) for part in record.parts]
            for part in record.parts:
                assert 0 <= part.refunded <= part.captured <= part.taken
                if record.status == "held":
                    held[member_id(record.member), part.asset, part.lot] += part.taken
            if record.status == "held":
                holds[bucket][subject] = str(record.hold_until)
        for bucket, open_holds in holds.items():
            assert store.get(keys.holds(bucket), {}) == open_holds, "I9"
        self.check_members(store, held)
        assert all(uses == 1 for uses in self.uses_of_codes.values()), "I11"

    def check_members(self, store: dict[str, dict[str, str]], held: Counter[tuple[str, str, str]]) -> None:
        model = self.model
        for number, member in model.members.items():
            bucket, identifier = bucket_of(number, world.BUCKETS), member_id(number)
            row = store[keys.member(bucket, identifier)]
            told = [int(row.get(name, 0)) for name in ("held", "growth", "owed")]
            assert told == [member.held, member.growth, member.owed]
            assert min(told) >= 0, "I2"
            lots = {name: int(amount) for name, amount in store.get(keys.lots(bucket, identifier), {}).items()}
            assert lots == {f"{asset}/{lot}": amount for (asset, lot), amount in member.lots.items()}
            assert all(amount > 0 for amount in lots.values()), "I2"
            replayed = {
                place: {
                    f"{asset}/{lot}": amount
                    for (who, asset, lot, account), amount in self.replayed.items()
                    if who == identifier and account == place and amount != 0
                }
                for place in "AHRX"
            }
            assert replayed["A"] == lots, "I1: the stream replayed gives other lots"
            holding = {f"{asset}/{lot}": n for (who, asset, lot), n in held.items() if who == identifier}
            assert replayed["H"] == holding, "I1: the stream replayed gives other holds"
            assert all(amount > 0 for place in "RX" for amount in replayed[place].values()), "I1, I2"
            assert sum(holding[name] for name in holding if name.startswith("points/")) == member.held
        for counter, counts in model.uses.items():
            if counter[0] == "month":
                name = keys.uses(bucket_of(counter[1], world.BUCKETS), member_id(counter[1])) + counter[2]
            else:
                name = keys.stay(bucket_of(counter[1], world.BUCKETS), member_id(counter[1]), *counter[2:])
            found = {field: int(told) for field, told in store.get(name, {}).items() if told != "0"}
            assert found == {field: n for field, n in counts.items() if n}, "I2: uses"

    @invariant()
    def caps_hold(self) -> None:
        """No counter of uses is above its cap: no definition changes in an example."""
        for counter, counts in self.model.uses.items():
            for name, used in counts.items():
                definition = world.BENEFITS[name.partition(":")[0]]
                cap = definition.per_stay if counter[0] == "stay" else definition.per_month
                cap = definition.per_day if ":" in name else cap
                assert cap is None or used <= cap, "I2: more uses than the cap"
