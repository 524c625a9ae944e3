"""docs/add-a-figure.md, followed to the letter."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from checkout import ROOT, Checkout
from fake_tables import fake_tables, write_tables
from pages import Page

PAGE = Page("add-a-figure.md")
NAME = "recovery_against_time"

DRAW = """
import json, sys
from svae.report.figures import draw, save
from svae.report.tables import Tables

tables = Tables.read(json.loads(sys.argv[1]), rule="udr", reference="svae_plus")
save(draw(sys.argv[2], tables), sys.argv[3])
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the repository to which the page's figure is added."""
    checkout = Checkout.create(tmp_path_factory.mktemp("figure") / "repository")
    PAGE.follow(checkout.path)
    return checkout


def draw(checkout, tables, folder):
    """Draw the page's figure with the library of the copy; return the table of its numbers."""
    paths = {name: str(path) for name, path in write_tables(tables, folder).items()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRAW, pd.Series(paths).to_json(), NAME, str(folder / NAME)],
        cwd=checkout.path,
        env=os.environ | {"PYTHONPATH": str(checkout.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / f"{NAME}.tsv", sep="\t")


def test_a_function_and_a_caption_are_touched():
    assert PAGE.files == [f"svae/report/figures/{NAME}.py", f"reports/captions/{NAME}.rst"]


def test_it_is_written_as_the_others_are(extended):
    code = PAGE.files[0]
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), code]
        said = subprocess.run(ruff, cwd=extended.path, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout


def test_it_is_drawn_from_the_tables_of_a_run(extended, tmp_path):
    tables = fake_tables(
        ["a", "b"],
        methods=["svae_plus", "vae", "oracle"],
        metrics=["mcc_pearson"],
        replicates=2,
        failed=[("vae", 0), ("vae", 1)],
    )
    table = draw(extended, tables, tmp_path)
    shown = table.dropna(subset=["value", "seconds"])
    assert set(shown["method"]) == {"svae_plus"}
    assert len(shown) == 2 * 2
    svg = (tmp_path / f"{NAME}.svg").read_text(encoding="utf-8")
    assert "failed: VAE" in svg


def test_a_run_without_truth_says_that_it_has_no_such_figure(extended, tmp_path):
    tables = fake_tables(["a"], truth=False, methods=["svae_plus"], metrics=["inll_clean"], replicates=1)
    table = draw(extended, tables, tmp_path)
    assert "needs the true latents" in table["note"][0]


def test_every_scope_has_a_rule_that_draws_it(extended):
    assert f"draw_{NAME}" in extended.snakemake("demo", "--list-rules").split()
