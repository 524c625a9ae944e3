"""Write the generated blocks of all pages (`make docs`)."""

from docs.generate import WRITERS
from docs.generate.pages import ROOT, filled, pages


def main() -> None:
    """Rewrite the pages that are out of step with what they repeat."""
    for page in pages():
        text = filled(page, WRITERS)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            print(f"rewritten: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
