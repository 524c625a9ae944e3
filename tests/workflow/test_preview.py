"""A report before the end of a run."""

import pytest
from checkout import BRIEF

pytestmark = pytest.mark.workflow


def test_a_run_is_reported_before_its_end_and_goes_on_later(checkout):
    methods = {"pca": None, "ivae": None}
    checkout.write_scope({**BRIEF, "methods": methods, "reference": "ivae"})
    checkout.keep_figures(["cost", "likelihood"])
    checkout.snakemake("tiny", "--cores", "2", "--until", "fit_pca")
    code, said = checkout.try_snakemake(
        "tiny", "--cores", "2", "--keep-going", "--config", "timeout_minutes=0.0001"
    )
    assert code != 0
    assert "1 of 2 fits did not end well (ivae)" in said
    status = checkout.table("status.tsv").set_index("method")["status"]
    assert dict(status) == {"pca": "ok", "ivae": "timeout"}
    checkout.snakemake("tiny", "--report", "report.html")
    checkout.python("from svae.workflow.retry import main; main(['config/tiny.yaml'])")
    checkout.snakemake("tiny", "--cores", "2")
    assert set(checkout.table("status.tsv")["status"]) == {"ok"}
