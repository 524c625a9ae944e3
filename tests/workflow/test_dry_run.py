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


@pytest.mark.parametrize("profile", [(), ("--profile", "slurm")], ids=["local", "slurm"])
@pytest.mark.parametrize("scope", SCOPES)
def test_scope_can_be_planned(fresh, scope, profile):
    said = fresh.snakemake(scope, "--dry-run", "--quiet", "rules", *profile)
    assert "verdict" in said


def test_default_is_the_demo(fresh):
    said = fresh.snakemake("demo", "--dry-run", "--quiet", "rules")
    assert "fit_svae_plus" in said
    assert "download" not in said
