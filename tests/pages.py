"""Pages of docs/ that say how something is added, and what following one of them changes."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(
    r"^`(?P<path>[^`\n]+)`(?P<place>, at its end)?:\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S
)


class Page:
    """A page whose code blocks are files.

    `` `path`: `` heads a new file, `` `path`, at its end: `` an addition to one that is there.
    """

    def __init__(self, name: str):
        self.text = (DOCS / name).read_text(encoding="utf-8")
        self.blocks = list(BLOCK.finditer(self.text))

    @property
    def files(self) -> list[str]:
        """The files that a reader of the page touches."""
        return [block["path"] for block in self.blocks]

    def scopes(self) -> list[Mapping]:
        """What the YAML blocks that belong to no file say, in the order of the page."""
        loose = BLOCK.sub("", self.text)
        return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", loose, re.M | re.S)]

    def follow(self, checkout: Path) -> None:
        """Do in a copy of the repository what the page says."""
        for block in self.blocks:
            path = checkout / block["path"]
            if block["place"]:
                assert path.is_file(), f"{path} is to be added to, but does not exist"
                path.write_text(path.read_text(encoding="utf-8") + "\n\n" + block["text"], encoding="utf-8")
            else:
                assert not path.exists(), f"{path} is to be new, but exists"
                path.write_text(block["text"], encoding="utf-8")
