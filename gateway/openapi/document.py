"""The OpenAPI 3.1 document, made from the operations of the routes and the types that validate requests.

Guarantees: an endpoint without an operation is an error at the first look, not an undocumented call; schemas of
requests are those of the decoders (msgspec), so what the document allows is what is taken; built when asked, never at
import.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc
from typing import Any, Final

import msgspec
import orjson
from starlette.routing import BaseRoute, Route

from gateway.openapi.operation import PROBLEM_JSON, Operation, Parameter, Returns, operation_of
from gateway.openapi.parameters import ACCEPT_LANGUAGE
from gateway.openapi.problem_schema import ProblemAnswer
from gateway.openapi.tags import TAGS
from gateway.problems.documents import KINDS, RETRY_AFTER_SECONDS, Problem, malformed, refused
from gateway.problems.kinds import Kind
from redemption.domain.limits import RATE_WINDOW_SECONDS
from redemption.domain.outcomes import Outcome, RateSubject, Refusal

SECURITY: Final[dict[str, dict[str, str]]] = {
    "terminal": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tong_tk_<env>_<id>_<secret><checksum>",
        "description": "API key of one terminal, bound to one outlet of one business. Made with `tong keys create`; it "
        "may be limited to some scopes, and be one whose requests must be signed (RFC 9421, "
        "docs/explanation/security.md).",
    },
    "member": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token of the group's identity provider, for one member.",
    },
    "back_office": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tong_ak_<env>_<id>_<secret><checksum>",
        "description": "API key with roles, for back office, operations and settlement.",
    },
}

_SUMMARY: Final = "One scan, one membership, any business of the group, exactly once."
_DESCRIPTION: Final = (
    "Money is in minor units and points are whole numbers; times are RFC 3339 in UTC. Every error is a problem "
    "document (RFC 9457) that says whether anything was applied (`outcome`) and how another attempt can succeed "
    "(`retry`). An unknown path answers `not_found`, an unsupported method "
    "`method_not_allowed`."
)
_SCHEMAS: Final = "#/components/schemas/{name}"

# Further members in the example of a kind: leg, asked, available.
_FIGURES: Final[dict[str, tuple[int | None, int, int]]] = {
    "rate_limited": (None, RateSubject.TERMINAL, -1),
    "leg_not_allowed_here": (0, -1, -1),
    "benefit_unknown": (1, -1, -1),
    "benefit_not_now": (1, -1, -1),
    "benefit_exhausted": (1, 1, 0),
    "tier_too_low": (1, -1, -1),
    "bill_below_minimum": (1, 15000, 20000),
    "not_stackable": (1, -1, -1),
    "points_below_minimum": (0, 50, 100),
    "points_insufficient": (0, 2000, 1350),
    "stored_value_insufficient": (2, 5000, 1200),
    "exceeds_bill": (0, 30000, 25800),
    "exceeds_hold": (None, 2500, 2000),
    "exceeds_redemption": (None, 1000, 500),
}


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the whole document for these routes. Raises AttributeError for an endpoint that is not described."""
    described = [route for route in routes if isinstance(route, Route) and route.include_in_schema]
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    schemas, components = _schemas([operation_of(route.endpoint) for route in described])
    for route in described:
        operation = operation_of(route.endpoint)
        paths[route.path][operation.method.lower()] = _operation(operation, route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tong", "version": version("tong"), "summary": _SUMMARY, "description": _DESCRIPTION},
        "externalDocs": {"url": "/docs", "description": "The same for people"},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": dict(paths),
        "components": {
            "securitySchemes": SECURITY,
            "schemas": components,
            "examples": {code: _problem_example(kind) for code, kind in KINDS.items()},
            "headers": _HEADERS,
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the schema (a reference) of every type that the operations name, and what the references lead to."""
    types: list[Any] = [ProblemAnswer]
    for operation in operations:
        types += [operation.request] if operation.request is not None else []
        types += [answer.schema for answer in operation.returns if answer.schema is not None]
    unique = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(unique, ref_template=_SCHEMAS)
    _mark_discriminators(components)
    _describe_defaults(components)
    return dict(zip(unique, found, strict=True)), components


def _mark_discriminators(components: dict[str, Any]) -> None:
    """Mark discriminators: OpenAPI wants `const` tags to be strings with a type; msgspec writes `enum` without one."""
    for schema in components.values():
        for member in schema.get("properties", {}).values():
            if "enum" in member and "type" not in member:
                kinds = {type(value) for value in member["enum"]}
                member["type"] = {str: "string", bool: "boolean", int: "integer"}[kinds.pop()]


def _describe_defaults(components: dict[str, Any]) -> None:
    """Move every `default` into the description, in place.

    Generators of types read `default` as "always there": openapi-typescript then makes the field of a request
    required, so that a minimal call does not compile. A field with a default is optional, which `required` says.
    """
    for schema in components.values():
        for member in schema.get("properties", {}).values():
            if "default" not in member:
                continue
            value = member.pop("default")
            if value is None:  # null means the same as leaving it out
                continue
            text = f"Default: `{orjson.dumps(value).decode()}`."
            said = member.get("description")
            member["description"] = f"{said.rstrip('.')}. {text}" if said else text


def _operation(described: Operation, route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    text = " ".join((described.summary or cleandoc(route.endpoint.__doc__ or "")).split())
    callers = () if described.caller == "anybody" else (described.caller, *described.also)
    operation: dict[str, Any] = {
        "operationId": described.operation_id,
        "tags": [described.tag],
        "summary": text.split(". ")[0].rstrip("."),
        "description": " ".join((text, *_needs(described))),
        "security": [{caller: []} for caller in callers],
    }
    parameters = [*described.parameters, *([ACCEPT_LANGUAGE] if described.refusals else [])]
    assert {each.name for each in parameters if each.where == "path"} == set(route.param_convertors)
    if parameters:
        operation["parameters"] = [_parameter(each) for each in parameters]
    if described.request is not None:
        examples = {name: {"value": value} for name, value in described.request_examples.items()}
        content = {"application/json": {"schema": schemas[described.request], "examples": _named(examples)}}
        for media_type, example in described.uploads.items():
            content[media_type] = {"schema": {"type": "string"}, "example": example}
        operation["requestBody"] = {"required": described.request_required, "content": content}
    operation["responses"] = _responses(described, schemas)
    return operation


def _needs(described: Operation) -> Iterator[str]:
    """Yield a sentence on the scopes or the role that the caller's key must have."""
    if described.scopes:
        yield f"Needs a key with the scope {' or '.join(f'`{scope}`' for scope in described.scopes)}."
    if described.role is not None:
        yield f"A back-office key needs the role `{described.role}`."


def _named(examples: dict[str, Any]) -> dict[str, Any]:
    """Return examples by names without spaces (components and many importers need that); the words become the
    summary."""
    return {name.replace(" ", "_"): {"summary": name, **example} for name, example in examples.items()}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
        "example": parameter.example,
    }


def _responses(described: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    responses = {str(answer.status): _answer(described, answer, schemas) for answer in described.returns}
    by_status: dict[int, list[Kind]] = defaultdict(list)
    for kind in KINDS.values():
        if kind.code in described.refusals:
            by_status[kind.status].append(kind)
    for status, kinds in by_status.items():
        assert str(status) not in responses
        response: dict[str, Any] = {
            "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{kind.code}`" for kind in kinds),
            "content": {
                PROBLEM_JSON: {
                    "schema": schemas[ProblemAnswer],
                    "examples": {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds},
                }
            },
        }
        headers = _headers_of(described, status)
        if headers:
            response["headers"] = headers
        responses[str(status)] = response
    return dict(sorted(responses.items()))


def _answer(described: Operation, answer: Returns, schemas: dict[Any, Any]) -> dict[str, Any]:
    schema = {"type": "string"} if answer.schema is None else schemas[answer.schema]
    response: dict[str, Any] = {
        "description": answer.description,
        "content": {answer.media_type: {"schema": schema, "example": answer.example}},
    }
    for media_type, example in answer.other_media.items():
        response["content"][media_type] = {"schema": {"type": "string"}, "example": example}
    names = (
        *(("Idempotency-Replayed",) if answer.replayable else ()),
        *(_RATE if described.rated else ()),
        *answer.headers,
    )
    if names:
        response["headers"] = _references(*names)
    return response


_HEADERS: Final[dict[str, Any]] = {
    "Idempotency-Replayed": {
        "description": "`true` when this is the repeat of an answer given before under the same key; absent otherwise.",
        "schema": {"enum": ["true"], "type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same key is sent again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": RETRY_AFTER_SECONDS,
    },
    "RateLimit-Policy": {
        "description": "How many calls the terminal may make (`q`) in a window of `w` seconds "
        "(draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": f'"terminal";q=10000;w={RATE_WINDOW_SECONDS}',
    },
    "RateLimit": {
        "description": "How many of them are left (`r`), and the seconds until there are more (`t`).",
        "schema": {"type": "string"},
        "example": '"terminal";r=9999;t=7',
    },
    "ETag": {
        "description": "SHA-256 of the file in hexadecimal, in quotes. Absent where the file is still changing.",
        "schema": {"type": "string"},
        "example": '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    },
    "Content-Disposition": {
        "description": "The name to keep the file under (RFC 6266).",
        "schema": {"type": "string"},
        "example": 'attachment; filename="tong-hotel-202611.xlsx"',
    },
    "WWW-Authenticate": {
        "description": "The scheme that is needed.",
        "schema": {"type": "string"},
        "example": 'Bearer realm="tong"',
    },
}
_RATE: Final = ("RateLimit-Policy", "RateLimit")


def _references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers_of(described: Operation, status: int) -> dict[str, Any]:
    """Return the headers that an error of this status may have; `Idempotency-Replayed` where a refusal is a repeat."""
    names: list[str] = []
    if status == 401:
        names.append("WWW-Authenticate")
    if status in {429, 503}:
        names.append("Retry-After")
    if status in {409, 410} and any(answer.replayable for answer in described.returns):
        names.append("Idempotency-Replayed")
    if status == 429 or (status in {409, 422} and described.rated):
        names += _RATE
    return _references(*names)


def _problem_example(kind: Kind) -> dict[str, Any]:
    """Return a whole document of this kind, rendered by the code that answers."""
    outcome = Outcome.__members__.get(kind.code.upper())
    if outcome is not None:
        leg, asked, available = _FIGURES.get(kind.code, (None, -1, -1))
        problem = refused(Refusal(outcome, leg, asked, available))
    elif kind.code == "malformed":
        problem = malformed("Expected `int` >= 1".replace("`", "'"), "legs[0].points")
    else:
        problem = Problem(kind.code, kind.title)
    return {"summary": kind.title, "value": orjson.loads(problem.body("en"))}
