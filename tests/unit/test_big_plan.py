"""The plan of ten thousand fits that `make big-plan` measures; here on one replicate, and without a clock."""

import pytest
from checkout import ROOT

from benchmarks.big_plan import PLAN, collect_manifest, collect_status, make_up
from svae.files import read_table
from svae.workflow.scope import Scope


def fits_of(scope):
    """Number of fits that a scope plans."""
    return sum(len(scope.settings(job.method)) for job in scope.jobs)


@pytest.fixture(scope="module")
def scope(tmp_path_factory):
    """One replicate of the plan, of which the tables are there."""
    scope = Scope.check(PLAN | {"replicates": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plan"))
        make_up(scope)
        yield scope


def test_the_plan_has_ten_thousand_fits():
    assert fits_of(Scope.check(PLAN)) >= 10_000


def test_no_fit_of_a_large_plan_is_forgotten(scope):
    table = collect_status(scope)
    assert table["fits"].sum() == fits_of(scope)
    by_method = table.groupby(["dataset", "split", "method"])
    assert (by_method["fits"].sum() == by_method["planned"].first()).all()
    assert set(table["status"]) == {"ok", "timeout"}
    assert not table["status"].eq("ok").head((table["status"] == "timeout").sum()).any()
    assert [machine["fits"] for machine in collect_manifest(scope)["machines"]] == [fits_of(scope)]


def test_it_costs_what_the_page_says():
    table = read_table(ROOT / "reports" / "reference" / "big_plan.tsv")
    assert (table["fits"] >= 10_000).all()
    assert table.set_index("step")["seconds"].drop("manifest").sum() < 30
    assert (table["peak_memory_mb"] < 500).all()
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert f"Ten thousand fits in {table['jobs'].iloc[0]} jobs" in page
