"""What a race must come to, as checks that say in sentences what is wrong.

The same checks judge the controls, which run against a store with a guard taken out and must be found wrong.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """One answer: status, the refusal's code (empty for a 201), the body."""

    status: int
    code: str
    body: bytes


def one_use(answers: Sequence[Response]) -> list[str]:
    """One code under many keys: exactly one is applied, all others are told that it was used."""
    return _counted(answers, {(201, ""): 1, (409, "code_used"): len(answers) - 1})


def one_answer(answers: Sequence[Response]) -> list[str]:
    """One key and body many times: the same answer every time, byte for byte, and it is a 201."""
    wrong = _counted(answers, {(201, ""): len(answers)})
    bodies = {answer.body for answer in answers}
    return wrong if len(bodies) == 1 else [*wrong, f"{len(bodies)} different answers"]


def covered_only(answers: Sequence[Response], covered: int, left: int) -> list[str]:
    """More spends than the balance covers: exactly so many are applied, the rest is refused, nothing is left."""
    expected = {(201, ""): covered, (409, "points_insufficient"): len(answers) - covered}
    return _counted(answers, expected) + ([f"{left} points are left"] if left else [])


def _counted(answers: Sequence[Response], expected: dict[tuple[int, str], int]) -> list[str]:
    found = Counter((answer.status, answer.code) for answer in answers)
    return [
        f"{status} {code}: {found[status, code]}, not {expected.get((status, code), 0)}"
        for status, code in sorted(found.keys() | expected.keys())
        if found[status, code] != expected.get((status, code), 0)
    ]
