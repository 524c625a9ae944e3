"""Every scope that is delivered can be planned, at home and on a cluster."""

import pytest
import yaml
from checkout import ROOT, Checkout, once

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


def test_default_is_the_demo(fresh):
    said = fresh.snakemake("demo", "--dry-run", "--quiet", "rules")
    assert "fit_svae_plus" in said
    assert "download" not in said
