"""Blocks of Markdown that a program writes, between two comments that no reader sees.

A page asks for a block by its name::

    <!-- generated: results of simulation -->
    (whatever stands here is replaced)
    <!-- end -->
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from svae.errors import unknown

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- generated: (?P<name>[^\n]+?) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)


def pages() -> list[Path]:
    """Return every page that may hold generated blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def names_in(page: Path) -> list[str]:
    """Return the names of the generated blocks of a page, in its order."""
    return [block["name"] for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def filled(page: Path, writers: Mapping[str, Callable[[], str]]) -> str:
    """Return the text of a page with every generated block written anew.

    Parameters
    ----------
    page
        A Markdown file.
    writers
        Function that writes the text of a block, by the block's name.

    Raises
    ------
    BenchmarkError
        If the page asks for a block that nothing writes.
    """

    def write(block: re.Match[str]) -> str:
        name = block["name"]
        if name not in writers:
            raise unknown("generated block", name, writers, page.name)
        return f"<!-- generated: {name} -->\n\n{writers[name]().strip()}\n\n<!-- end -->"

    return BLOCK.sub(write, page.read_text(encoding="utf-8"))
