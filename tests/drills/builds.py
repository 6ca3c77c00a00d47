"""Builds of the product with something changed: copies of its packages that a stack runs from, by PYTHONPATH."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "membership", "redemption", "tokens")
Changes = Mapping[str, Sequence[tuple[str, str]]]
"""By file, relative to the project: texts to replace, each of which must be there exactly once."""


@contextmanager
def build(changes: Changes) -> Iterator[Path]:
    """A folder with the changed packages, for the length of the block. Raises AssertionError when a text is not
    found."""
    folder = Path(tempfile.mkdtemp(prefix="tong-drill-build-"))
    try:
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / package, folder / package, ignore=ignored)
        for name, pairs in changes.items():
            path = folder / name
            text = path.read_text()
            for old, new in pairs:
                assert text.count(old) == 1, f"{name} has {text.count(old)} times: {old}"
                text = text.replace(old, new)
            path.write_text(text)
        yield folder
    finally:
        shutil.rmtree(folder)
