"""Pages of docs/ that say how something is added, followed in a copy of the repository."""

from pathlib import Path

from docs.generate.guides import Guide


class Page(Guide):
    """A page that a test follows."""

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
