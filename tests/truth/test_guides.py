"""The module that docs/guides/add-an-operation.md shows is served and described as the guide says."""

import re
from pathlib import Path
from typing import Any

from starlette.routing import Route

from gateway.openapi.document import document
from gateway.openapi.operation import operation_of
from gateway.openapi.tags import TAGS

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add-an-operation.md"


def test_the_module_of_the_guide_is_a_whole_operation() -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {"__name__": "guide"}
    exec(compile(source, str(GUIDE), "exec"), module)  # noqa: S102
    (endpoint,) = module["ENDPOINTS"]
    described = operation_of(endpoint)
    answered = document([Route(described.path, endpoint, methods=[described.method])])
    operation = answered["paths"][described.path][described.method.lower()]
    assert operation["operationId"] == "listTiers"
    assert operation["summary"] == "List the levels in force, lowest first"
    assert described.tag in TAGS
    assert set(operation["responses"]) == {"200", "401", "403", "429"}
    assert "TiersAnswer" in answered["components"]["schemas"]
