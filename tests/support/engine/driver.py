"""The real engine for the state machine: its functions in a private Valkey under a clock that stands until it is moved.

`now()` of the prelude reads a test key instead of the server's TIME; Python's clock has the same value. What would die
by its TTL is aged by hand when the clock moves. Everything else is the product: service, store, connection, functions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, TypeVar

import uvloop

from redemption.accruals import Accruals, Reversed
from redemption.accruals import Purchase as ProductPurchase
from redemption.addresses import Addresses
from redemption.cancellation import Cancellations, Cancelled
from redemption.configuration.current import Configuration, Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.members import bucket_of, member_id
from redemption.domain.outcomes import Outcome, RateSubject, Refusal
from redemption.domain.records import record_fields
from redemption.domain.redemptions import Accrual, Redemption, Scanned
from redemption.hot import keys
from redemption.hot.connection import Address, HotConnection
from redemption.hot.library import Library, assemble
from redemption.hot.store import HotStore
from redemption.known_keys import TOMBSTONE, KeyRecord
from redemption.memberships import Memberships, MemberState
from redemption.service import Redemptions
from redemption.service import Scan as ProductScan
from redemption.service import Step as ProductStep
from tests.support.engine.commands import Code, Purchase, Scan, Step
from tests.support.engine.model import Answer
from tests.support.servers.private_servers import ValkeyServer

T = TypeVar("T")
SECONDS = 10.0
UNREAD = Refusal(Outcome.CODE_FORGED)
AGE_STEP_SECONDS = 5
"""Real time that passes between two moves of the clock may round a TTL by less than this: all moves are multiples."""

_TIME = """  local t = call('TIME')
  local seconds = tonumber(t[1])
  return seconds, seconds * 1000 + floor(tonumber(t[2]) / 1000)
"""
_TEST_TIME = """  local millis = tonumber(call('GET', 'test:now'))
  return floor(millis / 1000), millis
"""
_AGE = """
local step = tonumber(ARGV[2]) * 1000
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    left = math.ceil(left / step) * step - tonumber(ARGV[1]) * 1000
    if left <= 0 then redis.call('DEL', key) else redis.call('PEXPIRE', key, left) end
  end
end
"""
_DUMP = """
local names, out = redis.call('KEYS', '{*'), {}
table.sort(names)
for _, key in ipairs(names) do
  local kind = string.match(key, '^{b%d+}:(%a+)')
  if kind == 'ledger' then
    local length, seen = redis.call('XLEN', key), 0
    for i = 1, #ARGV, 2 do if ARGV[i] == key then seen = tonumber(ARGV[i + 1]) end end
    local new = length > seen and redis.call('XREVRANGE', key, '+', '-', 'COUNT', length - seen) or {}
    out[#out + 1] = {key, length, new}
  elseif kind ~= 'key' and kind ~= 'guess' and kind ~= 'cancelled' then
    local content
    if kind == 'holds' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif redis.call('TYPE', key).ok == 'string' then content = redis.call('GET', key)
    else content = redis.call('HGETALL', key) end
    out[#out + 1] = {key, content, redis.call('TTL', key) == -1 and 1 or 0}
  end
end
return out
"""


def frozen_library(changes: dict[str, list[tuple[str, str]]] | None = None) -> Library:
    """The library under the test's clock; `changes` replace text by file, for the mutations."""
    sources = {name: changed for name, changed in (changes or {}).items() if name != "prelude"}
    replacements = {name: changed_source(name, pairs) for name, pairs in sources.items()}
    replacements["prelude"] = changed_source("prelude", [(_TIME, _TEST_TIME), *(changes or {}).get("prelude", [])])
    return assemble(replacements)


def changed_source(name: str, pairs: list[tuple[str, str]]) -> str:
    """A Lua file of the product with texts replaced; each must be there exactly once."""
    source = (resources.files("redemption.hot") / "functions" / f"{name}.lua").read_text(encoding="utf-8")
    for old, new in pairs:
        assert source.count(old) == 1, f"{name}.lua has {source.count(old)} times: {old}"
        source = source.replace(old, new)
    return source


class Engine:
    """One server's worth of engine, its own event loop, the frozen clock. `reset` empties it for the next example."""

    def __init__(self, port: int, library: Library) -> None:
        self.loop = uvloop.new_event_loop()
        self.library = library
        self.now_ms = 0
        self.seen: dict[bytes, int] = {}
        self.connection = HotConnection(Address(port=port), in_flight_max=64, stall_timeout_seconds=30.0)
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        await self.connection.start()
        await self.ask("FUNCTION", "LOAD", "REPLACE", self.library.source)
        self.age_script = await self.ask("SCRIPT", "LOAD", _AGE)
        self.dump_script = await self.ask("SCRIPT", "LOAD", _DUMP)

    def close(self) -> None:
        self.loop.run_until_complete(self.connection.close(1.0))
        self.loop.close()

    async def ask(self, *args: bytes | str | int) -> Any:
        return await self.connection.execute(*args, deadline_seconds=SECONDS)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(call, SECONDS))

    def reset(self, configuration: Configuration, now_ms: int) -> None:
        self.now_ms = now_ms
        self.seen = {}
        self.store = HotStore(self.connection, self.library)
        addresses = Addresses(lambda: configuration, lambda: self.now_ms / 1000, cluster=False)
        self.configuration = configuration
        self.redemptions = Redemptions(self.store, addresses)
        self.cancellations = Cancellations(self.store, addresses)
        self.accruals = Accruals(self.store, addresses)
        self.memberships = Memberships(self.store, addresses)
        self.run(self._reset())

    async def _reset(self) -> None:
        await self.ask("FLUSHALL", "SYNC")
        # The calls of a window are counted in the library's own memory.
        await self.ask("FUNCTION", "LOAD", "REPLACE", self.library.source)
        await self.ask("SET", "test:now", self.now_ms)

    def advance(self, seconds: int, millis: int = 0) -> None:
        """Moves the clock; what has a TTL ages by the whole seconds."""
        assert seconds % AGE_STEP_SECONDS == 0
        self.now_ms += seconds * 1000 + millis
        self.run(self._advance(seconds))

    async def _advance(self, seconds: int) -> None:
        await self.ask("SET", "test:now", self.now_ms)
        if seconds:
            await self.ask("EVALSHA", self.age_script, 0, seconds, AGE_STEP_SECONDS)

    def dump(self) -> list[list[Any]]:
        """All keys but the marks: `[name, content, kept for ever]`; of streams `[name, length, new entries]`."""
        seen = [word for name, length in self.seen.items() for word in (name, length)]
        found: list[list[Any]] = self.run(self.ask("EVALSHA", self.dump_script, 0, *seen))
        return found

    # The calls.

    def verify(self, scan: Scan) -> Answer:
        return self.run(self._verify(scan))

    async def _verify(self, scan: Scan) -> Answer:
        verified = await self.redemptions.verify(
            ProductScan(
                scan.terminal,
                _code(scan.code),
                scan.key,
                scan.fingerprint,
                scan.bill,
                scan.legs,
                scan.hold_seconds,
                scan.confirm,
            )
        )
        if isinstance(verified.result, Scanned):
            return first_answer(verified.result)
        return answer_of(verified.result)

    def step(self, step: Step) -> Answer:
        product = ProductStep(step.terminal, step.subject, step.key, step.fingerprint, step.legs)
        calls = {
            "capture": self.redemptions.capture,
            "void": self.redemptions.void,
            "refund": self.redemptions.refund,
        }
        return answer_of(self.run(_awaited(calls[step.name](product))))

    def verify_unread(self, scan: Scan) -> Answer:
        """A scan of whose code nothing can be read."""
        return self.run(self._verify_unread(scan))

    async def _verify_unread(self, scan: Scan) -> Answer:
        found = await self.redemptions.known_keys.settle(
            scan.terminal, scan.key, scan.fingerprint, UNREAD, is_guess=False
        )
        if isinstance(found, Refusal):
            return answer_of(found)
        refusal = found.refusal(scan.fingerprint)
        result = refusal if refusal is not None else await self.redemptions.known_keys.find_scan(found)
        return first_answer(result) if isinstance(result, Scanned) else answer_of(result)

    def cancel_key(self, terminal: Terminal, key: str, code: Code | None) -> Answer:
        """By key and code, or (None) a code of which nothing can be read."""
        return answer_of(self.run(self._cancel_key(terminal, key, code)))

    async def _cancel_key(self, terminal: Terminal, key: str, code: Code | None) -> Cancelled | Refusal | None:
        behind: CodeUse | KeyRecord | Refusal
        if code is None:
            behind = await self.redemptions.known_keys.settle(terminal, key, TOMBSTONE, UNREAD, is_guess=False)
            if isinstance(behind, Refusal):
                return behind
        else:
            behind = _code(code)
        return await self.cancellations.by_key(terminal, key, behind)

    def cancel_id(self, terminal: Terminal, redemption_id: str) -> Answer:
        return answer_of(self.run(self.cancellations.by_id(terminal, redemption_id)))

    def sweep(self, bucket: int) -> Answer:
        return ("swept", *self.run(self.redemptions.sweep(bucket)))

    def accrue(self, purchase: Purchase) -> Answer:
        code = _code(purchase.code) if purchase.code is not None else None
        product = ProductPurchase(
            purchase.terminal,
            purchase.member_number,
            code,
            purchase.key,
            purchase.fingerprint,
            purchase.bill,
            purchase.confirm,
        )
        return answer_of(self.run(self.accruals.accrue(product)))

    def reverse(self, step: Step) -> Answer:
        return answer_of(
            self.run(self.accruals.reverse(step.terminal, step.subject, key=step.key, fingerprint=step.fingerprint))
        )

    def find(self, redemption_id: str, business: str) -> Redemption | None:
        return self.run(self.redemptions.find(redemption_id, business))

    def member(self, number: int) -> MemberState | None:
        return self.run(self.memberships.find(number))

    def issue(self, issue_id: str, number: int, lots: dict[tuple[str, str], int]) -> Answer:
        bucket, identifier = bucket_of(number, self.configuration.buckets), member_id(number)
        reply = self.run(
            self.store.call(
                "issue",
                issued=keys.issued(bucket, issue_id),
                lots=keys.lots(bucket, identifier),
                ledger=keys.ledger_stream(bucket),
                issue_id=issue_id,
                member_id=identifier,
                context=b"{}",
                lots_text=";".join(f"{asset}/{lot}={amount}" for (asset, lot), amount in lots.items()),
                deadline_seconds=SECONDS,
            )
        )
        return "issued", reply[1], reply[2] == 1

    def set_member(self, number: int, **fields: str | int) -> None:
        """Level, status or the moment from which codes count, as enrolment and operations set them."""
        name = keys.member(bucket_of(number, self.configuration.buckets), member_id(number))
        self.run(self.ask("HSET", name, *(word for pair in fields.items() for word in pair)))


async def _awaited(call: Awaitable[T]) -> T:
    return await call


def _code(code: Code) -> CodeUse:
    return CodeUse(code.member_number, code.slot, code.marker, code.made_at, code.expired)


def first_answer(scanned: Scanned) -> Answer:
    """What verify answered, in the words of the model: as it was then, whatever became of it."""
    record = record_fields(scanned.record)
    parts = tuple(
        (int(leg), asset, lot, int(amount))
        for leg, asset, lot, amount in (words.split(",") for words in record.get("taken", "").split(";") if words)
    )
    until = int(record["hold_until"]) if "hold_until" in record else None
    status = "captured" if until is None else "held"
    points, held, stored_value = (int(word) for word in record["balance"].split(","))
    return (
        *("redemption", scanned.redemption_id, status, int(record["at"]), until),
        *(parts, (points, held, stored_value), scanned.replayed),
    )


def answer_of(value: Redemption | Refusal | Cancelled | Accrual | Reversed | None) -> Answer:
    """A value of the product in the words of the model."""
    if value is None:
        return ("not found",)
    if isinstance(value, Refusal) and (value.outcome, value.asked) == (Outcome.RATE_LIMITED, RateSubject.GUESSES):
        return "refused", value.outcome, value.leg, value.asked, -1, value.replayed  # a TTL, which goes by real time
    if isinstance(value, Refusal):
        return "refused", value.outcome, value.leg, value.asked, value.available, value.replayed
    if isinstance(value, Cancelled):
        return "cancelled", value.effect, None if value.redemption is None else answer_of(value.redemption)
    if isinstance(value, Accrual):
        return (
            *("accrual", value.accrual_id, value.points, value.settled, value.lot, value.growth, value.growth_after),
            *(value.crossing, value.balance_points, value.replayed),
        )
    if isinstance(value, Reversed):
        accrual = value.accrual.accrual_id
        return "reversed", accrual, value.taken_back, value.owed, value.balance_points, value.replayed
    parts = tuple((part.leg, part.asset, part.lot, part.taken, part.captured, part.refunded) for part in value.parts)
    balance = (value.balance.points, value.balance.points_held, value.balance.stored_value_minor)
    return (
        *("redemption", value.redemption_id, value.status, value.at_ms, value.hold_until_ms),
        *(parts, balance, value.replayed),
    )


EngineType = TypeVar("EngineType", bound=Engine)


@contextmanager
def running_engine(kind: Callable[[int, Library], EngineType]) -> Iterator[EngineType]:
    """An engine of that kind on a server of its own, for the length of the block."""
    server = ValkeyServer("--appendonly", "no")
    try:
        server.start()
        made = kind(server.port, frozen_library())
        try:
            yield made
        finally:
            made.close()
    finally:
        server.remove()
