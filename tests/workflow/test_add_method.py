"""docs/add-a-method.md, followed to the letter."""

import pytest
from checkout import TINY, Checkout, once
from pages import Page

pytestmark = pytest.mark.workflow

PAGE = Page("add-a-method.md")
ADDED = {name: entry for scope in PAGE.scopes() for name, entry in scope["methods"].items()}

NOT_DRAWN = {"score_against_fits.tsv": {"nmf"}}
"""Methods that a figure names in a note: of the two fits of nmf, no rule without the truth can choose one."""


@pytest.fixture(scope="module")
def extended_run(tiny_run, tmp_path_factory) -> Checkout:
    """The tiny run, to which the methods of the page are added."""

    def extend(path):
        copy = tiny_run.duplicate(path)
        PAGE.follow(copy.path)
        copy.write_scope({**TINY, "methods": TINY["methods"] | ADDED})
        # The copy lies elsewhere, which is no reason to fit again what is there.
        copy.snakemake("tiny", "--cores", "2", "--rerun-triggers", "mtime", "params")

    return once(tmp_path_factory, "extended", extend)


def test_page_adds_a_rule_and_a_program_per_method():
    assert set(PAGE.files) == {
        path
        for method in ADDED
        for path in (f"rules/methods/{method}.smk", f"workflow_scripts/fit_{method}.py")
    }


@pytest.mark.parametrize("name", ["metrics.tsv.gz", "selected.tsv", "status.tsv", "leaderboard.tsv"])
def test_added_methods_are_in_the_table(extended_run, name):
    assert set(extended_run.table(name)["method"]) == set(TINY["methods"]) | set(ADDED)


def test_added_methods_end_well(extended_run):
    status = extended_run.table("status.tsv").set_index("method").loc[list(ADDED)]
    assert set(status["status"]) == {"ok"}, status["message"]
    assert set(status.loc["nmf", "setting"]) == {"n_latent=2", "n_latent=3"}


def test_added_methods_are_in_every_figure_that_shows_methods_like_them(extended_run):
    shown = 0
    for path in sorted((extended_run.path / "results/tiny/figures").glob("*.tsv")):
        table = extended_run.table(f"figures/{path.name}")
        if "pca" in set(table.get("method", [])):
            assert set(ADDED) - NOT_DRAWN.get(path.name, set()) <= set(table["method"]), path.name
            shown += 1
    assert shown >= 2


def test_other_methods_are_not_fitted_again(tiny_run, extended_run):
    for fit in (tiny_run.path / "results/tiny/fits").rglob("*.h5ad"):
        copied = extended_run.path / fit.relative_to(tiny_run.path)
        assert copied.stat().st_mtime == fit.stat().st_mtime


def test_other_methods_keep_their_numbers(tiny_run, extended_run):
    before, after = tiny_run.table("metrics.tsv.gz"), extended_run.table("metrics.tsv.gz")
    kept = after[after["method"].isin(before["method"])].reset_index(drop=True)
    assert kept.equals(before)


def test_added_rules_pass_the_linter(extended_run):
    assert "Congratulations" in extended_run.snakemake("tiny", "--lint")
