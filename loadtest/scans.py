"""Scan requests made ahead, byte for byte as they are sent, so that making them is no part of the measurement.

Every scan has a fresh single-use code (signed here with the stack's own ring of code keys), a key of its own and an
amount of its own (the guard against duplicates must not mistake a load test for a nervous cashier).
"""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from loadtest.population import ENVIRONMENT, Population, item_ids
from tokens.claims import SLOT_SECONDS
from tokens.codec import CodeIssuer
from tokens.keyring import KeyRing

AHEAD_SECONDS: Final = 60  # a code is accepted up to 96 s before its slot begins, and lives 30 s from there
SEPARATOR: Final = b"\n\x00\n"
AMOUNT_MIN: Final = 1_000
POINTS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """One scan: its key, and the whole HTTP request."""

    key: str
    raw: bytes


class ScanMaker:
    """A maker of scans of one population. `run` is in every key, so that an audit finds its redemptions."""

    def __init__(self, population: Population, code_keys: Path, run: str, seed: int = 20261122) -> None:
        self._population = population
        self._issuer = CodeIssuer(KeyRing.load(code_keys, ENVIRONMENT), "HS256", time.time)
        self._random = random.Random(seed)
        self._numbers = count(time.time_ns() // 1_000_000 % 1_000_000_000)  # two makers never make the same bill
        self.run = run

    def make(self, wanted: int, *, hot_member: bool = False, points: int | None = None, legs: int = 1) -> list[Request]:
        """Return scans that are valid for the next minute.

        With `hot_member` all are of one member. One leg is of points, the others are benefits.
        """
        benefits = [{"kind": "benefit", "benefit_id": item} for item in item_ids(legs - 1)]
        population, chance = self._population, self._random
        slot = int(time.time() + AHEAD_SECONDS) // SLOT_SECONDS
        first, members, terminals = population.first_member, population.members, population.terminals
        requests = []
        for _ in range(wanted):
            number = next(self._numbers)
            member = first if hot_member else first + chance.randrange(members)
            terminal = terminals[chance.randrange(len(terminals))]
            key = f"{self.run}-{number}"
            body = {
                "code": self._issuer.issue(member, slot).code,
                "bill": {"reference": f"POS-{number}", "amount_minor": AMOUNT_MIN + number, "currency": "CNY"},
                "legs": [{"kind": "points", "points": points or chance.randint(1, POINTS_MAX)}, *benefits],
            }
            requests.append(Request(key, raw_request(terminal.api_key, key, body)))
        return requests


def raw_request(api_key: str, key: str, body: Mapping[str, object], path: str = "/v1/verify") -> bytes:
    """Return a request as a till's HTTP library writes it."""
    content = json.dumps(body, separators=(",", ":")).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: tong\r\nUser-Agent: till/1.0\r\nAccept: */*\r\n"
        f"Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def write_requests(path: Path, requests: list[Request]) -> None:
    """Write the file that loadtest/bench/scans.lua reads."""
    path.write_bytes(SEPARATOR.join(request.raw for request in requests))
