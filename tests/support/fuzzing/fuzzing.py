"""Bad input without end: valid inputs mutated by a seeded generator, and what a decoder must do with each.

A target gives a value or the refusal of its decoder. Whatever else it raises is a finding, which names seed, number
and input, so that it can be made again: `Fuzzer(target, seed)` always makes the same inputs of the same corpus.
Targets with keys make fresh ones in each process; there the input itself tells what to look at.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

INPUT_BYTES_MAX = 20_000
CORPUS_MAX = 400
"""Inputs that were taken join the corpus up to here, so that mutations of mutations come to what is rare."""

PIECES: tuple[bytes, ...] = (
    *(b"", b"0", b"-0", b"-1", b"1e400", b"1E2", b"0.5", b"9007199254740992", b"9" * 25, b"9" * 5_000),
    *(b"null", b"true"),
    *(b"[]", b"{}", b"[" * 1_200, b'{"a":' * 1_200, b'""', b'"', b"\\", b'\\"', b"\\u0000", b'"\\ud800"'),
    *(b'"\\udc00\\ud800"', b"\x00", b"\x7f", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"\xef\xbb\xbf", "é".encode(), "e\u0301".encode(), "\u0661".encode(), "\u2028".encode(), "\u202e".encode()),
    *("\U0001f600".encode(), "²".encode(), "\uff19".encode(), "\u00a0".encode(), b" ", b"\t", b"\r\n", b"\n", b"\v"),
    *(b".", b",", b";", b":", b"=", b"_", b"-", b"(", b")", b"?", b"?0", b"?1", b"@0", b"%00", b"%", b"::", b"a" * 600),
    *(b"A", b"/", b"+"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, 1e308, "", "0", "1", " ", "\x00"),
    *("\ud800", "a" * 600, "\u0661", "陳大文", "9" * 18, "2026-11-22", "24:61", [], [[]], {}, {"a": {}}, [None]),
    {"kind": "points"},
)
"""What a value of JSON is swapped for."""


class Refusal(Exception):
    """Raised by a target where its decoder refused."""


@dataclass(frozen=True)
class Target:
    """One decoder. `decode` returns where the input was taken, raises `Refusal` where it was refused."""

    name: str
    corpus: Sequence[bytes]
    decode: Callable[[bytes], None]


class Finding(AssertionError):
    """A decoder that did something else."""


class Fuzzer:
    """The inputs of one seed for one target, and how many of them were taken."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target = target
        self.seed = seed
        self.taken = self.refused = 0
        self._random = random.Random(f"{seed} {target.name}")
        self._corpus = list(target.corpus)
        self._own = len(self._corpus)

    def run(self, count: int) -> None:
        """Gives the target so many inputs. Raises `Finding` at the first that it does not answer."""
        for number, data in enumerate(self._inputs(count)):
            try:
                self.target.decode(data)
            except Refusal:
                self.refused += 1
                continue
            except Exception as fault:
                raise Finding(
                    f"{self.target.name}, seed {self.seed}, input {number}: {type(fault).__name__}: {fault}\n{data!r}"
                ) from fault
            self.taken += 1
            self._keep(data)

    def _inputs(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            if number < self._own:
                yield self._corpus[number]  # each valid one as it is, first
            else:
                yield self._mutated()

    def _keep(self, data: bytes) -> None:
        if len(self._corpus) < CORPUS_MAX:
            self._corpus.append(data)
        else:
            self._corpus[self._random.randrange(self._own, CORPUS_MAX)] = data

    def _mutated(self) -> bytes:
        rng = self._random
        # Half from what is known to be valid: what was taken may be valid and far from anything of interest.
        data = self._corpus[rng.randrange(self._own if rng.random() < 0.5 else len(self._corpus))]
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
            data = rng.choice(_MUTATIONS)(rng, data, self._corpus)
        return data[:INPUT_BYTES_MAX]


def _flip(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    if not data:
        return b"\x01"
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.7 else data[at:]


def _drop(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 1, 2, 4, 16)) :]


def _double(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    begin = rng.randrange(len(data) + 1)
    end = begin + rng.choice((1, 2, 8, 40))
    return data[:end] + data[begin:end] * rng.choice((1, 1, 1, 30)) + data[end:]


def _splice(rng: random.Random, data: bytes, corpus: list[bytes]) -> bytes:
    other = rng.choice(corpus)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _insert(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(PIECES) + data[at + rng.choice((0, 0, 1, 3)) :]


def _digit(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """A digit changed: what stays well formed gets further than what does not."""
    places = [at for at, byte in enumerate(data[:600]) if 48 <= byte <= 57]
    if not places:
        return data
    at = rng.choice(places)
    return data[:at] + bytes((rng.randrange(48, 58),)) + data[at + 1 :]


def _swap(rng: random.Random, data: bytes, corpus: list[bytes]) -> bytes:
    """JSON with one value in the place of another, a member taken away, or one there twice."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _insert(rng, data, corpus)
    places = list(_places(document))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    holder, name = rng.choice(places)
    action = rng.random()
    if action < 0.6:
        holder[name] = rng.choice(VALUES)
    elif action < 0.75:
        del holder[name]
    elif isinstance(holder, dict):
        holder[rng.choice(("x", "", "a" * 70, "kind", "code", str(name).upper()))] = holder[name]
    else:
        holder.extend([holder[name]] * rng.choice((1, 10, 60)))
    return json.dumps(document, ensure_ascii=True).encode()


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [document]
    for _ in range(200):
        if not waiting:
            return
        holder = waiting.pop()
        names: Any = ()
        if isinstance(holder, dict):
            names = list(holder)
        elif isinstance(holder, list):
            names = range(len(holder))
        for name in names:
            yield holder, name
            waiting.append(holder[name])


_MUTATIONS = (_flip, _cut, _drop, _double, _splice, _insert, _insert, _digit, _swap, _swap)
