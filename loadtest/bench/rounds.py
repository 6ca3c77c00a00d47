"""The rounds of `make bench`: gateway and references in turn, so that a slow moment of the machine meets all alike."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from loadtest.bench.open_loop import Open, open_loop
from loadtest.bench.reference_servers import Reference
from loadtest.bench.wrk import Closed, closed_loop
from loadtest.costs import Costs
from loadtest.population import Population, member_id
from loadtest.processes import cpu_seconds
from loadtest.scans import Request, ScanMaker, raw_request
from loadtest.stack import Stack

GATEWAY: Final = "gateway"
HOT_MEMBER: Final = "gateway, one hot member"
REFERENCES: Final = ("starlette", "raw", "plain")
RATE_FIRST: Final = 8_000
RATES: Final = {"raw": 16_000, "starlette": 9_000}
OPEN_CONNECTIONS: Final = 64
TOKEN_MEMBERS: Final = 500
TOKEN_SECONDS: Final = 3_600


@dataclass
class Series:
    """All rounds of one contestant."""

    rounds: list[Closed] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)

    def middle(self, of: Callable[[Closed], float]) -> float:
        """Return the median over the rounds."""
        return median(of(each) for each in self.rounds)

    @property
    def rate(self) -> float:
        return self.middle(lambda each: each.rate)

    @property
    def spread(self) -> float:
        """Return (largest - smallest) / median of the rates."""
        rates = [each.rate for each in self.rounds]
        return (max(rates) - min(rates)) / self.rate

    def cpu(self, part: str) -> float:
        """Return CPU microseconds a request of a part, the median over the rounds."""
        return median(each.get(part, 0.0) for each in self.cpu_us)


class Bench:
    """One run over one stack and its references."""

    def __init__(
        self,
        stack: Stack,
        references: dict[str, Reference],
        population: Population,
        folder: Path,
        *,
        connections: int,
    ) -> None:
        self.stack = stack
        self.references = references
        self.folder = folder
        self.connections = connections
        self.maker = ScanMaker(population, stack.code_keys, f"b{int(time.time()):x}")
        self.series: dict[str, Series] = {}
        self.costs = Costs(stack)
        self.acknowledged: list[tuple[str, str]] = []
        self.applied = 0
        self.complaints: list[str] = []
        self.population = population

    def closed_round(self, name: str, seconds: int) -> None:
        """Run one closed-loop round of a contestant; its figures join the series."""
        series = self.series.setdefault(name, Series())
        expected = max([each.rate for each in series.rounds], default=RATES.get(name, RATE_FIRST))
        requests = self.maker.make(int(expected * seconds * 1.4) + 500, hot_member=name == HOT_MEMBER)
        if name in (GATEWAY, HOT_MEMBER):
            self._gateway_round(series, requests, seconds)
            return
        reference = self.references[name]
        before = cpu_seconds(reference.pid)
        found = closed_loop(reference.port, requests, self.folder, seconds=seconds, connections=self.connections)
        series.cpu_us.append({GATEWAY: (cpu_seconds(reference.pid) - before) * 1e6 / found.requests})
        series.rounds.append(found)
        if found.errors or (name == "plain" and found.requests > len(requests)):
            self.complaints.append(f"{name}: {found.errors} errors, {found.requests} of {len(requests)} requests")

    def _gateway_round(self, series: Series, requests: list[Request], seconds: int) -> None:
        before = self.stack.outcomes()
        self.costs.begin()
        found = closed_loop(self.stack.port, requests, self.folder, seconds=seconds, connections=self.connections)
        after = self.stack.settled_outcomes(found.requests, before)
        applied = after["applied"] - before["applied"]
        refused = sum(after.values()) - sum(before.values()) - applied
        self.applied += applied
        series.rounds.append(found)
        series.cpu_us.append(self.costs.end(applied))
        # Requests that wrk had in flight when it stopped were applied and their answers never read.
        if found.errors or refused or not 0 <= applied - found.requests <= self.connections:
            told = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
            self.complaints.append(f"closed loop: wrk read {found.requests}, {found.errors} errors; answers {told}")

    def open_round(self, name: str, rate: float, seconds: int) -> Open:
        """Run one open-loop round at a constant rate."""
        requests = self.maker.make(int(rate * seconds))
        port = self.stack.port if name == GATEWAY else self.references[name].port
        found = open_loop(port, requests, rate=rate, connections=OPEN_CONNECTIONS)
        if found.unanswered:
            self.complaints.append(f"{name} at {rate:.0f}/s: {found.unanswered} without an answer")
        if name == GATEWAY:
            for key, status, body in found.answers:
                if status != 201:
                    self.complaints.append(f"{name} at {rate:.0f}/s: {status} {body[:200]!r}")
                    continue
                self.acknowledged.append((key, json.loads(body)["redemption_id"]))
            self.applied += sum(status == 201 for _, status, _ in found.answers)
        return found

    def codes_round(self, name: str, seconds: int) -> None:
        """Run one closed-loop round of `POST /v1/me/codes`, at the gateway or at the Starlette no-op."""
        series = self.series.setdefault(f"codes, {name}", Series())
        port = self.stack.port if name == GATEWAY else self.references[name].port
        found = closed_loop(port, self._code_requests(), self.folder, seconds=seconds, connections=self.connections)
        series.rounds.append(found)
        if found.errors:
            self.complaints.append(f"codes, {name}: {found.errors} errors")

    def _code_requests(self) -> list[Request]:
        """Return a request for each of some members, with access tokens of the development issuer."""
        issuer = self.stack.member_issuer()
        count = min(TOKEN_MEMBERS, self.population.members)
        return [
            Request(
                str(number),
                raw_request(
                    issuer.access_token(member_id(number), TOKEN_SECONDS), f"c{number}", {"count": 1}, "/v1/me/codes"
                ),
            )
            for number in range(self.population.first_member, self.population.first_member + count)
        ]
