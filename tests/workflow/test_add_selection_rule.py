"""docs/add-a-selection-rule.md, followed to the letter."""

import pandas as pd
import pytest
from checkout import TINY, Checkout
from pages import Page

PAGE = Page("add-a-selection-rule.md")
[SCOPE] = PAGE.scopes()

CHOOSE = """
import itertools
import pandas as pd
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.selection import RULES, select
from svae.files import write_table
from svae.report.methods_table import read_methods

SCORES = {  # by setting: likelihood, agreement, true metric
    "first": (3.0, 0.1, 0.2),
    "second": (2.0, 0.8, 0.9),
    "third": (1.0, 0.9, 0.7),
    "fourth": (0.0, 0.7, 0.8),
}
statuses, metrics = [], []
for method, replicate in itertools.product(("svae_plus", "pca"), range(2)):
    run = {"dataset": "made", "split": "random", "replicate": replicate, "method": method}
    for setting, (likelihood, agreement, value) in SCORES.items():
        scores = {"validation_likelihood": likelihood, "udr": agreement} if method == "svae_plus" else {}
        statuses.append({**run, "setting": setting, "status": "ok", **scores})
        metrics.append({**run, "setting": setting, "metric": "mcc_pearson", "value": value})
metrics = pd.DataFrame(metrics)
selected = select(pd.DataFrame(statuses), metrics)
methods = read_methods("config/methods.tsv", selected["method"])
write_table(selected, "selected.tsv")
write_table(leaderboard(metrics, selected, methods, reference="svae_plus"), "leaderboard.tsv")
print(RULES["likelihood_and_udr"].label)
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the repository to which the page's rule is added, and tables made there."""
    checkout = Checkout.create(tmp_path_factory.mktemp("rule") / "repository")
    PAGE.follow(checkout.path)
    assert checkout.python(CHOOSE) == "likelihood and UDR"
    return checkout


def rows_of_the_rule(checkout, name):
    table = pd.read_csv(checkout.path / name, sep="\t")
    return table[table["rule"] == "likelihood_and_udr"].set_index("method")


def test_it_is_one_function():
    [block] = PAGE.blocks
    assert block["text"].count("def ") == 1


def test_it_is_written_as_the_others_are(extended):
    extended.check_style(PAGE.files)


def test_it_chooses_by_its_scores(extended):
    chosen = rows_of_the_rule(extended, "selected.tsv").loc["svae_plus"]
    assert chosen["setting"].tolist() == ["second", "second"]
    assert chosen["outcome"].tolist() == ["chosen", "chosen"]


def test_without_scores_it_falls_back_like_the_others(extended):
    chosen = rows_of_the_rule(extended, "selected.tsv").loc["pca"]
    assert chosen["setting"].tolist() == ["first", "first"]
    assert chosen["outcome"].tolist() == ["fallback", "fallback"]


def test_it_is_in_the_leaderboard(extended):
    rows = rows_of_the_rule(extended, "leaderboard.tsv")
    assert rows["mean"].to_dict() == pytest.approx({"svae_plus": 0.9, "pca": 0.2})
    assert rows["rank"].to_dict() == {"svae_plus": 1, "pca": 2}
    assert rows["fallbacks"].to_dict() == {"svae_plus": 0, "pca": 2}


def test_a_scope_takes_it_by_its_name(extended):
    assert extended.what_is_wrong({**TINY, **SCOPE}) == ""
    said = extended.what_is_wrong({**TINY, "selection": {"rule": "likelihood_and_urd"}})
    assert "unknown rule 'likelihood_and_urd', did you mean 'likelihood_and_udr'?" in said
