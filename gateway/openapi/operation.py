"""What a row of gateway/api/calls.py is made of: calls, their answers, and the values beside their bodies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Caller = Literal["terminal", "member", "back_office", "anybody"]
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no problem. `shape` None: text that is not JSON."""

    description: str
    shape: type | None
    example: Any
    status: int = 200
    media_type: str = JSON
    replayable: bool = False
    other_media: Mapping[str, Any] = field(default_factory=dict)
    """The same answer in other media types, each with its example."""
    headers: tuple[str, ...] = ()
    """Headers of components/headers that it has."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value outside the body."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    example: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One row. `operation_id` is what a generated client calls its method: camelCase, a verb and a noun, never changed.
    `request_examples` are bodies that work; `summary` stands in where the endpoint is no function."""

    operation_id: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    tag: str
    caller: Caller
    answers: tuple[Answer, ...]
    refusals: tuple[str, ...] = ()
    request: type | None = None
    request_required: bool = True
    request_examples: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    summary: str | None = None
    uploads: Mapping[str, str] = field(default_factory=dict)
    """Bodies that are no JSON: media type and example."""
    also: tuple[Caller, ...] = ()
    """Who else may call."""
    rated: bool = False
    """Whether its answers say in RateLimit headers what the terminal has left."""


ACCEPT_LANGUAGE: Final = Parameter(
    "Accept-Language",
    "header",
    "Language of `operator_hint`: zh-Hant (also when absent), zh-Hans or en.",
    {"type": "string"},
    "zh-Hant",
    required=False,
)
