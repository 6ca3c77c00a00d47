"""The samples of a page of the documentation, run as a reader runs them: one shell, from top to bottom, as printed.

A fenced block is one of four things. `sh`: a command, sent to the shell. A language with a file's name after it
(`python till.py`): a file to save beside it. `text`, `json`: to read, not to run. Anything else is a fault of the page.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.api.guide_clients import clients_environment, node_modules, node_path

ROOT = Path(__file__).parents[3]
COMMAND_SECONDS = 100.0
READ_ONLY = {"text", "json"}
_FENCE = re.compile(r"^```(?P<language>\w*)(?: (?P<file>\S+))?\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block. `heading`: of the section it is in. `file`: the name it is saved under."""

    heading: str
    language: str
    file: str | None
    content: str

    @property
    def runs(self) -> bool:
        return self.language == "sh"

    @property
    def read_only(self) -> bool:
        return self.language in READ_ONLY


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(
            heading=re.findall(r"^## (.*)$", text[: match.start()], re.MULTILINE)[-1],
            language=match["language"],
            file=match["file"],
            content=match["content"],
        )
        for match in _FENCE.finditer(text)
    ]
    assert 2 * len(found) == len(re.findall("^```", text, re.MULTILINE)), f"{page} has a fence without an end"
    return found


class Reader:
    """A reader at a shell in a project folder, who saves files and enters commands."""

    def __init__(self, folder: Path, shell: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self._shell = shell
        self._entered = 0

    def save(self, block: Block) -> None:
        """Saves a block under its name."""
        assert block.file is not None
        (self.folder / block.file).write_text(block.content, encoding="utf-8")

    async def enter(self, command: str) -> str:
        """Enters a command; what it printed. Fails with that when its status is not 0."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._entered += 1
        mark = f"--- done {self._entered} "
        self._shell.stdin.write(f"{command}\nprintf '\\n{mark}%s\\n' $?\n".encode())
        await self._shell.stdin.drain()
        printed: list[str] = []
        async with asyncio.timeout(COMMAND_SECONDS):
            while True:
                line = (await self._shell.stdout.readline()).decode()
                assert line, f"the shell ended: {''.join(printed)}"
                if line.startswith(mark):
                    break
                printed.append(line)
        said = "".join(printed).removesuffix("\n")
        assert line == f"{mark}0\n", f"{command}\n{said}"
        return said


@asynccontextmanager
async def reader(folder: Path, home: Path, **environment: str) -> AsyncIterator[Reader]:
    """A reader in a folder that looks like the project's after `make run`, with the packages the page asks for."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".clients").symlink_to(await asyncio.to_thread(clients_environment))
    (folder / "node_modules").symlink_to(await asyncio.to_thread(node_modules))
    path = f"{node_path(folder / 'bin')}:/usr/bin:/bin"
    variables = {"PATH": path, "HOME": str(folder), "TONG_HOME": str(home), **environment}
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        limit=1024 * 1024,
    )
    try:
        yield Reader(folder, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
