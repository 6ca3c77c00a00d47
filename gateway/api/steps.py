"""The common end of the calls that change something: count the outcome, refuse, or answer."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from msgspec import Struct
from starlette.responses import Response

from gateway.http.responses import respond
from gateway.observability.metrics import Metrics
from gateway.problems.documents import refused
from gateway.scans.input import REPLAYED_HEADER
from redemption.configuration.current import Terminal
from redemption.domain.commands import Leg
from redemption.domain.outcomes import Refusal


class Applied(Protocol):
    """The result of a step that was applied, by this call or by an earlier one with its key."""

    @property
    def replayed(self) -> bool: ...


A = TypeVar("A", bound=Applied)


def respond_to_step(
    metrics: Metrics,
    name: str,
    done: A | Refusal,
    terminal: Terminal,
    answer: Callable[[A], Struct],
    *,
    status: int = 200,
    legs: tuple[Leg, ...] | None = None,
) -> Response:
    """Count the outcome of a step and return its response. Raises the refusal."""
    metrics.steps.labels(name, done.outcome.name.lower() if isinstance(done, Refusal) else "applied").inc()
    if isinstance(done, Refusal):
        raise refused(done, currency=terminal.business.currency, legs=legs)
    return respond(answer(done), status, (REPLAYED_HEADER,) if done.replayed else ())
