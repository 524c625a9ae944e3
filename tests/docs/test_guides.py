"""Whatever is added touches one place: the files of the examples in docs/add-a-*.md are counted."""

import pytest
from pages import Page

from docs.generate.guides import guides

FILES = {
    "add-a-figure.md": 2,  # a function and its caption
    "add-a-method.md": 2,  # a rule and its program
    "add-a-metric.md": 1,
    "add-a-selection-rule.md": 1,
    "add-a-simulator.md": 1,
}
"""Files that one addition touches."""
ADDITIONS = {"add-a-method.md": 2}
"""Things that a page adds, if they are several: a method in Python, and one in any other language."""


@pytest.mark.parametrize("name", FILES)
def test_an_addition_touches_no_more_files_than_it_may(name):
    files = Page(name).files
    assert len(files) == len(set(files)) == FILES[name] * ADDITIONS.get(name, 1)


def test_every_page_is_counted():
    assert {guide.path.name for guide in guides()} == set(FILES)
