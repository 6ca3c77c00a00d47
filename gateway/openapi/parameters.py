"""Parameters that operations of several features share."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.openapi.operation import Parameter
from gateway.scans import examples
from redemption.domain.limits import IDEMPOTENCY_KEY_CHARACTERS_MAX

_KEY_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_CHARACTERS_MAX,
    "pattern": "^[!-~]+$",
}
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "Made by the till before the first attempt and sent again, unchanged, with every retry of it.",
    _KEY_SCHEMA,
    examples.KEY,
)
STEP_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "With it a retry gets the first answer; without it, an `already_…` refusal answers a repeat. A refund "
    "of a part requires one.",
    _KEY_SCHEMA,
    "till-7-20261122-000124",
    required=False,
)
ACCEPT_LANGUAGE: Final = Parameter(
    "Accept-Language",
    "header",
    "Language of `operator_hint`: zh-Hant (also when absent), zh-Hans or en.",
    {"type": "string"},
    "zh-Hant",
    required=False,
)


def query(name: str, description: str, schema: Mapping[str, Any], example: str, *, required: bool = False) -> Parameter:
    """Return a query parameter."""
    return Parameter(name, "query", description, schema, example, required)


def whole_number(most: int, default: int) -> dict[str, Any]:
    """Return the schema of a number from 1 to `most`."""
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


def one_of(*words: str) -> dict[str, Any]:
    """Return the schema of one of these words."""
    return {"type": "string", "enum": list(words)}
