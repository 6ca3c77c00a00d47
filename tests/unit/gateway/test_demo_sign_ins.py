"""The demo's secrets go only to a caller on this machine, in the development stack."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Scope

from gateway.api.system.demo import sign_ins
from gateway.problems.documents import Problem
from gateway.settings import Settings


def request(
    home: Path, *, development: bool = True, client: str = "127.0.0.1", host: str = "127.0.0.1:8000"
) -> Request:
    app = Starlette()
    app.state.tong = SimpleNamespace(settings=Settings(home=home, development=development))
    scope: Scope = {
        "type": "http",
        "app": app,
        "method": "GET",
        "path": "/v1/demo/sign-ins",
        "headers": [(b"host", host.encode())],
        "client": (client, 50_000),
    }
    return Request(scope)


@pytest.mark.parametrize(
    "different",
    [
        {"development": False},
        {"client": "192.168.1.20"},
        {"client": "10.0.0.1"},
        {"client": "::ffff:10.0.0.1"},
        {"client": "testclient"},
        {"host": "tong.example"},
        {"host": "localhost.tong.example:8000"},
        {"host": ""},
    ],
)
async def test_everybody_else_sees_a_path_that_does_not_exist(tmp_path: Path, different: dict[str, bool | str]) -> None:
    (tmp_path / "demo.json").write_text("{}")
    with pytest.raises(Problem) as refused:
        await sign_ins(request(tmp_path, **different))  # type: ignore[arg-type]
    assert refused.value.kind.code == "not_found"


async def test_before_the_stack_is_ready_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        await sign_ins(request(tmp_path, host="localhost:8000"))
    assert refused.value.kind.code == "not_found"
    assert "demo.json" in str(refused.value)
