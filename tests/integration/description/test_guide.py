"""docs/start/integrate.md and README.md: every sample runs as it is printed, beside a fresh `tong up`."""

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.api.guide import ROOT, Block, blocks_of, reader
from tests.support.api.guide_clients import CLIENTS
from tests.support.servers.stack import Stack, running_stack

INTEGRATE = ROOT / "docs" / "start" / "integrate.md"
Answer = dict[str, Any]
pytestmark = pytest.mark.timeout(600)  # the first run installs the packages of the typed clients


def answers_of(printed: str) -> list[Answer]:
    """Every JSON document that was printed, one after another; what is no JSON is left out."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while (position := printed.find("{", position)) >= 0:
        document, position = decoder.raw_decode(printed, position)
        found.append(document)
    return found


def last(**wanted: Any) -> Callable[[str], bool]:
    """That the last document printed has these members, and no other one is a refusal."""

    def holds(printed: str) -> bool:
        found = answers_of(printed)
        return all("retry" not in each for each in found) and all(found[-1].get(k) == v for k, v in wanted.items())

    return holds


def payable(minor: int) -> Callable[[str], bool]:
    return lambda printed: answers_of(printed)[-1]["bill"]["payable_minor"] == minor


SAID: list[tuple[str, str, Callable[[str], bool]]] = [
    ("Before you begin", "tong demo env", lambda printed: printed == ""),
    ("A till in Python", "till.py", payable(25_600)),
    ("With curl", "/v1/verify", payable(18_300)),
    ("In JavaScript", "till.mjs", payable(30_950)),
    ("Typed clients", "npx openapi-typescript", lambda printed: "tong.d.ts" in printed),
    ("Typed clients", "check.mjs", last(member_id="mem_0000001")),
    ("Typed clients", "openapi-python-client", lambda printed: "Unable" not in printed),
    ("Typed clients", "check.py", lambda printed: answers_of(printed)[-1]["member"]["member_id"] == "mem_0000001"),
    ("When an answer is lost", "/v1/cancel", last(effect="tombstoned", redemption=None)),
    ("What may be used: prepare", "/v1/prepare", lambda printed: bool(answers_of(printed)[-1]["best"]["legs"])),
    ("Test codes: every refusal, on purpose", "demo codes", lambda printed: "tong_tk_" in printed),
    ("Holds: a hotel stay", "/capture", last(status="captured")),
    ("Refunds", "/refund", last(status="partially_refunded")),
    ("Purchases earn: accruals", "/v1/accruals", lambda printed: answers_of(printed)[-1]["points"] > 0),
    ("The member app", "/v1/me/benefits", lambda printed: len(answers_of(printed)[0]["codes"]) == 3),
    (
        "Live notices, without webhooks",
        "listen.mjs",
        lambda printed: answers_of(printed)[-1]["legs"][0]["points"] == 60,
    ),
    ("Looking up", "bill_reference=", lambda printed: "redemptions" in answers_of(printed)[-1]),
    ("At the end of the day", "/v1/settlement/reconciliations", last(rows=1)),
]
"""What each command of the guide prints, in order: its section, a word of it, and what must be true of the output."""


@pytest.fixture(scope="module")
async def fresh() -> AsyncIterator[Stack]:
    async with running_stack(workers=1) as running:
        yield running


def test_every_block_of_the_guide_runs_or_is_marked_as_one_to_read() -> None:
    for page in (INTEGRATE, ROOT / "README.md"):
        for block in blocks_of(page):
            assert block.runs or block.read_only or block.file is not None, f"{page.name}: {block.content}"
    blocks = blocks_of(INTEGRATE)
    commands = "".join(block.content for block in blocks if block.runs)
    for block in blocks:
        if block.file is not None:
            started = block.file.replace(".mts", ".mjs")
            assert started in commands, f"no command of the guide runs {block.file}"


def test_every_variable_of_the_guide_is_set_by_the_guide() -> None:
    commands = "".join(block.content for block in blocks_of(INTEGRATE) if block.runs)
    used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", commands))
    set_there = set(re.findall(r"^(?:export )?([A-Za-z_]\w*)=", commands, re.MULTILINE))
    from_the_demo = {"BASE_URL", "TERMINAL_KEY", "MEMBER_ID", "MEMBER_TOKEN"}
    assert used - set_there == from_the_demo | {"PWD"}


def test_the_guide_installs_the_packages_that_its_samples_were_tried_with() -> None:
    (npm, pip) = [block.content for block in blocks_of(INTEGRATE) if "install" in block.content and block.read_only]
    pinned = json.loads((CLIENTS / "package.json").read_text())["devDependencies"]
    assert {word.split("@5")[0] for word in npm.split()[3:]} == set(pinned)
    assert pinned["typescript"].startswith("5.")
    assert pip.split()[-1] == "openapi-python-client"
    assert "resolved" not in (CLIENTS / "package-lock.json").read_text()


def test_a_till_fits_on_a_screen() -> None:
    for name in ("till.py", "till.mjs"):
        (till,) = [block for block in blocks_of(INTEGRATE) if block.file == name]
        assert len(till.content.splitlines()) <= 45


async def test_the_guide_works_from_top_to_bottom_as_it_is_printed(fresh: Stack, tmp_path: Path) -> None:
    blocks = blocks_of(INTEGRATE)
    assert [block.heading for block in blocks if block.runs] == [heading for heading, _, _ in SAID]
    expected = iter(SAID)
    async with reader(tmp_path, fresh.home) as shell:
        for block in blocks:
            if block.file is not None:
                shell.save(block)
            elif block.runs:
                heading, word, holds = next(expected)
                assert word in block.content
                printed = await shell.enter(block.content)
                assert holds(printed), f"{heading}\n{block.content}\n{printed}"
            else:
                assert block.read_only


async def test_the_main_job_of_the_readme_works_as_it_is_printed(fresh: Stack, tmp_path: Path) -> None:
    (job,) = [block for block in blocks_of(ROOT / "README.md") if block.heading == "The main job"]
    async with reader(tmp_path, fresh.home) as shell:
        assert payable(23_800)(await shell.enter(job.content))


def _compiles(blocks: list[Block]) -> str:
    return next(block.content for block in blocks if block.runs and "tsc" in block.content).splitlines()[0]


async def test_a_request_type_with_a_default_would_not_compile(fresh: Stack, tmp_path: Path) -> None:
    """The control: the description as it was, with `default` in a request, fails the guide's own command."""
    blocks = blocks_of(INTEGRATE)
    (sample,) = [block for block in blocks if block.file == "check.mts"]
    async with reader(tmp_path, fresh.home) as shell:
        await shell.enter(blocks[0].content)
        await shell.enter('curl -sS "$BASE_URL/openapi.json" -o openapi.json')
        described = json.loads((tmp_path / "openapi.json").read_text())
        described["components"]["schemas"]["VerifyRequest"]["properties"]["capture"]["default"] = True
        (tmp_path / "openapi.json").write_text(json.dumps(described))
        await shell.enter("npx openapi-typescript openapi.json --output tong.d.ts")
        shell.save(sample)
        with pytest.raises(AssertionError, match=r"TS2322|TS2345|TS2741"):
            await shell.enter(_compiles(blocks))
