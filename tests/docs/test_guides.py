"""Whatever is added touches one place: the files of the examples in docs/add-a-*.md are counted."""

import pytest
from pages import Page

from docs.generate.guides import guides

FILES = {
    "add-a-dataset.md": 1 + 2,  # a file: an entry of a scope; a public study: a row of the table and an entry
    "add-a-figure.md": 2,  # a function and its caption
    "add-a-method.md": 2 + 2,  # in Python and in another language: a rule and its program
    "add-a-metric.md": 1,
    "add-a-model-class.md": 1,
    "add-a-selection-rule.md": 1,
    "add-a-simulator.md": 1,
}
"""Files that the examples of a page touch."""


@pytest.mark.parametrize("name", FILES)
def test_the_examples_touch_no_more_files_than_they_may(name):
    files = Page(name).files
    assert len(files) == len(set(files)) == FILES[name]


def test_every_page_is_counted():
    assert {guide.path.name for guide in guides()} == set(FILES)
