"""Method cards say which options there are, and what their defaults are."""

import re

import pytest
import yaml
from checkout import ROOT

from svae.methods.options import LIBRARYS, OPTIONS

CARDS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "methods").glob("*.md")}
OWN = sorted(
    method
    for method in set(OPTIONS) & set(CARDS)
    if any(field.default is not LIBRARYS for field in OPTIONS[method].model_fields.values())
)
"""Methods with a card whose options have defaults of our own."""


def defaults_in(card: str) -> dict[str, str]:
    """Options in the table of a card, and what it says of their defaults; a row may have several of both."""
    stated = {}
    for first, second in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]+?) +\|", card, re.MULTILINE):
        names = re.findall(r"\w+", first)
        values = second.split(", ") if len(names) > 1 else [second]
        stated |= dict(zip(names, values, strict=True))
    return stated


@pytest.mark.parametrize("method", OWN)
def test_a_card_states_every_option_and_its_default(method):
    fields, stated = OPTIONS[method].model_fields, defaults_in(CARDS[method])
    assert set(fields) <= set(stated)
    for name, field in fields.items():
        if not field.is_required() and field.default is not None:
            assert yaml.safe_load(re.split("[ ;]", stated[name])[0]) == field.default, name
