"""Every scope that is delivered can be planned, at home and on a cluster."""

import math
import os
import re

import pytest
import yaml
from checkout import ROOT, Checkout, once
from screens import write_screen

SCOPES = [
    path.stem
    for path in sorted((ROOT / "config").glob("*.yaml"))
    if "scope" in yaml.safe_load(path.read_text())
]

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return once(tmp_path_factory, "fresh", Checkout.create)


@pytest.mark.parametrize("scope", SCOPES)
def test_scope_can_be_planned(fresh, scope):
    assert "verdict" in fresh.snakemake(scope, "--dry-run", "--quiet", "rules")


@pytest.mark.parametrize("scope", ["demo", "papalexi"])
def test_simulated_and_real_cells_can_be_planned_on_a_cluster(fresh, scope):
    assert "verdict" in fresh.snakemake(scope, "--dry-run", "--quiet", "rules", "--profile", "slurm")


def test_the_demo_sends_as_many_jobs_as_the_page_says(fresh):
    """Counted over the rules, each group of the profile once for all its jobs, or for so many of them."""
    said = fresh.snakemake("demo", "--dry-run", "--quiet", "rules")
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", said, re.M)}
    local = re.search(r"^localrules:\n((?: +\w+,\n)+)", (ROOT / "Snakefile").read_text(), re.M).group(1)
    sent = {rule: n for rule, n in jobs.items() if rule not in [*re.findall(r"\w+", local), "all", "total"]}
    fits = sum(n for rule, n in sent.items() if rule.startswith("fit_"))
    figures = sum(n for rule, n in sent.items() if rule.startswith("draw_"))
    together = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())["group-components"]
    draws = sent["simulate"]  # with their splits and responses
    alone = sent["embed"] + sent["enrich"]
    grouped = draws + fits + math.ceil(sent["evaluate"] / together["evaluation"]) + alone
    grouped += math.ceil(figures / together["figures"])
    row = f"| the demo (counted by a dry run) | {fits} | {sum(sent.values())} | {grouped} |"
    assert row in (ROOT / "docs" / "cluster.md").read_text()


def test_a_screen_among_the_downloads_is_not_taken_for_one(tmp_path):
    """Snakemake would delete it first: it is older than the program that downloads."""
    checkout = Checkout.create(tmp_path / "checkout")
    screen = checkout.path / "resources" / "my_screen.h5ad"
    screen.parent.mkdir(exist_ok=True)
    write_screen(screen)
    os.utime(screen, (0, 0))
    own = "datasets={papalexi: &mine {path: resources/my_screen.h5ad}, papalexi_guides: *mine}"
    said = checkout.snakemake("papalexi", "--dry-run", "--quiet", "rules", "--config", own)
    assert "prepare" in said
    assert "download" not in said


def test_default_is_the_demo(fresh):
    said = fresh.snakemake("demo", "--dry-run", "--quiet", "rules")
    assert "fit_svae_plus" in said
    assert "download" not in said
