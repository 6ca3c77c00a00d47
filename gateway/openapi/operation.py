"""One definition for each operation: a decorator beside its endpoint.

Routes, the OpenAPI document, /docs, the access matrix and the pages' TypeScript types are made from what `@operation`
says (docs/adr/0018-one-definition-for-each-operation.md). Guarantees: the decorator registers nothing anywhere; an
endpoint is served where its feature's `ENDPOINTS` lists it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from redemption.credentials import Role, TerminalScope

Caller = Literal["terminal", "member", "back_office", "anybody"]
Method = Literal["GET", "POST", "DELETE"]
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

E = TypeVar("E", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Returns:
    """An answer that is not a problem. `schema` None: text that is not JSON. `headers`: names of components/headers."""

    description: str
    schema: type | None
    example: Any
    status: int = 200
    media_type: str = JSON
    replayable: bool = False
    other_media: Mapping[str, Any] = field(default_factory=dict)
    """Further media types of this answer, each with an example."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter outside the body."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    example: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: the requests and answers of one method of one path, and who may call it. Decorates its endpoint."""

    operation_id: str
    """The method's name in a generated client: camelCase, a verb and a noun, never changed."""
    method: Method
    path: str
    tag: str
    caller: Caller
    returns: tuple[Returns, ...]
    refusals: tuple[str, ...] = ()
    request: type | None = None
    request_required: bool = True
    request_examples: Mapping[str, Any] = field(default_factory=dict)
    """Valid bodies by name."""
    parameters: tuple[Parameter, ...] = ()
    scopes: tuple[TerminalScope, ...] = ()
    """A terminal's key needs one of them; empty: a key of any scope."""
    role: Role | None = None
    """The role that a back-office key needs."""
    also: tuple[Caller, ...] = ()
    """Further callers."""
    uploads: Mapping[str, str] = field(default_factory=dict)
    """Bodies that are no JSON: media type and example."""
    rated: bool = False
    """True where answers carry the terminal's remaining calls in RateLimit headers."""
    summary: str | None = None
    """The text for integrators where the endpoint's docstring is not meant for them."""

    def __call__(self, endpoint: E) -> E:
        """Describe an endpoint by this operation and return the endpoint."""
        endpoint.operation = self  # type: ignore[attr-defined]
        return endpoint


operation: Final = Operation
"""The class by the name under which it is a decorator."""


def operation_of(endpoint: Any) -> Operation:
    """Return the operation that an endpoint is described by. Raises AttributeError where it is not described."""
    described: Operation = endpoint.operation
    return described
