"""Method cards say which options there are, and what their defaults are."""

import inspect
import re

import pytest
import yaml
from checkout import ROOT

from docs.generate.results import REFERENCE
from svae import HSICVAE
from svae.evaluation.statistics import t_interval
from svae.files import read_table
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
def test_a_card_names_every_option(method):
    """But for the number of latents, which is a key of the scope."""
    named = set(re.findall(r"`(\w+)`", CARDS[method]))
    assert set(OPTIONS[method].model_fields) - {"n_latent"} <= named


@pytest.mark.parametrize("method", OWN)
def test_defaults_in_the_table_of_a_card_are_those_of_the_code(method):
    fields = OPTIONS[method].model_fields
    for name, said in defaults_in(CARDS[method]).items():
        if name in fields and not fields[name].is_required() and fields[name].default is not None:
            assert yaml.safe_load(re.split("[ ;]", said)[0]) == fields[name].default, name


def test_the_default_weight_of_independence_is_the_largest_that_is_not_seen_to_cost():
    default = inspect.signature(HSICVAE).parameters["independence"].default
    assert f"`independence` = {default:g} nats" in CARDS["hsic_vae"]
    likelihood = read_table(REFERENCE / "independence.tsv").pivot(
        index="draw", columns="independence", values="log_likelihood_zero_shot"
    )
    weights = [weight for weight in likelihood if weight > 0]
    low = {weight: t_interval((likelihood[0] - likelihood[weight]).to_numpy())[0] for weight in weights}
    assert default == max(weight for weight in weights if low[weight] < 0)
