"""Pages that say how something is added (docs/add-a-*.md), and the files that their examples touch."""

import re

import yaml
from tabulate import tabulate

from docs.generate.pages import ROOT

DOCS = ROOT / "docs"
FILE = re.compile(r"^`(?P<path>[^`\n]+)`(?P<place>, at its end)?:\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)


class Guide:
    """A page whose code blocks are files.

    `` `path`: `` heads a new file, `` `path`, at its end: `` an addition to one that is there.
    """

    def __init__(self, name: str):
        self.path = DOCS / name
        self.text = self.path.read_text(encoding="utf-8")
        self.blocks = list(FILE.finditer(self.text))

    @property
    def files(self) -> list[str]:
        """The files that a reader of the page touches."""
        return [block["path"] for block in self.blocks]

    @property
    def subject(self) -> str:
        """What the page adds, from its title: `a metric`."""
        title = self.text.partition("\n")[0]
        return title.removeprefix("# Add ")

    def scopes(self) -> list[dict]:
        """What the YAML blocks that belong to no file say, in the order of the page."""
        loose = FILE.sub("", self.text)
        return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", loose, re.M | re.S)]


def guides() -> list[Guide]:
    """Return all pages that say how something is added."""
    return [Guide(path.name) for path in sorted(DOCS.glob("add-a-*.md"))]


def where_to_change_what() -> str:
    """Tabulate the pages, and the files that their examples touch."""
    rows = [
        (f"[{guide.subject}]({guide.path.name})", ", ".join(f"`{file}`" for file in guide.files))
        for guide in guides()
    ]
    return tabulate(rows, headers=("to add", "the example touches"), tablefmt="pipe")
