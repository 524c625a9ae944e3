"""Whatever is added touches one place: the files of the examples in docs/add-a-*.md are counted."""

import pytest
from pages import Page

from docs.generate.guides import guides

ALLOWED = {
    "add-a-metric.md": {"The function": 1},
    "add-a-selection-rule.md": {"The function": 1},
    "add-a-method.md": {"In Python": 2, "In any other language": 2},  # a rule file and a program
    "add-a-simulator.md": {"The class": 1},
}
"""Files per example, by the example's heading."""


@pytest.mark.parametrize("name", ALLOWED)
def test_an_example_touches_no_more_files_than_it_may(name):
    assert {heading: len(files) for heading, files in Page(name).examples.items()} == ALLOWED[name]


def test_every_page_is_counted():
    assert {guide.path.name for guide in guides()} == set(ALLOWED)
