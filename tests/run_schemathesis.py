"""Schemathesis over the OpenAPI of a running stack: `python -m tests.run_schemathesis --examples 200 --seed 1`.

Every call by the caller it is for, then every call by callers it is not for. Ends with status 1 where an answer is not
as the document says; docs/explanation/testing.md says what the last run came to and what is left out, with the reasons.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers.stack import Stack, running_stack

CONFIGURATION = Path(__file__).parent / "support" / "fuzzing" / "schemathesis.toml"
PROGRAM = Path(sys.executable).with_name("schemathesis")
SETTLEMENT, RECONCILIATIONS, BACK_OFFICE = "/settlement/", "/reconciliations", "/(settlement|ops)/"


@dataclass(frozen=True)
class Run:
    """The calls of one run and who makes them. `credentials` are by the name of the scheme in the document."""

    name: str
    credentials: Mapping[str, str] = field(repr=False)
    arguments: tuple[str, ...] = ()
    share: int = 1
    """One of so many of the examples."""


def runs(stack: Stack) -> list[Run]:
    """Each kind of caller."""
    demo = stack.demo
    terminal = stack.terminals["hotel"].api_key
    member = demo["members"][0]["access_token"]
    group = demo["admin_api_key"]
    business = next(each["api_key"] for each in demo["business_admins"] if each["business"] == "hotel")
    own = {"terminal": terminal, "member": member, "back_office": group}
    # Between them, every kind of credential at the calls of each other kind.
    strangers = [
        Run(name, {"terminal": first, "member": second, "back_office": third}, share=5)
        for name, first, second, third in (
            ("each call by a stranger", member, group, terminal),
            ("each call by another stranger", group, terminal, member),
        )
    ]
    return [
        Run("tills, members, operations", own, ("--exclude-path-regex", SETTLEMENT)),
        Run("settlement", own, ("--include-path-regex", SETTLEMENT)),
        Run("a business's back office", own | {"back_office": business}, ("--include-path-regex", BACK_OFFICE), 3),
        Run("a till's reconciliations", own | {"back_office": terminal}, ("--include-path-regex", RECONCILIATIONS), 3),
        *strangers,
    ]


async def run_schemathesis(stack: Stack, run: Run, examples: int, seed: int, *further: str) -> tuple[int, str]:
    """Status (0: nothing found) and what the program said."""
    own = {f"TONG_{name.upper()}": text for name, text in run.credentials.items()}
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            *("--config-file", str(CONFIGURATION), "run", f"{stack.base_url}/openapi.json"),
            *("--max-examples", str(max(1, examples // run.share)), "--seed", str(seed), "--no-color"),
            *run.arguments,
            *further,
            cwd=folder,
            env=os.environ | own,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--examples", type=int, default=200, help="of each call")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="", help="runs whose name holds this text")
    asked.add_argument("further", nargs="*", help="arguments for the program")
    wanted = asked.parse_args()
    worst = 0
    async with running_stack(workers=1) as stack:
        for run in runs(stack):
            if wanted.only in run.name:
                print(f"== {run.name}, seed {wanted.seed}", flush=True)
                status, said = await run_schemathesis(stack, run, wanted.examples, wanted.seed, *wanted.further)
                print(said, flush=True)
                worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
