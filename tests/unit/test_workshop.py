"""The small tools: errors, files, seeds, dependencies."""

import pandas as pd
import pytest

from svae.errors import BenchmarkError, unknown
from svae.files import checksum, read_anndata, read_table, replacing, write_table
from svae.seeds import seed_from
from svae.workflow.dependencies import package_files


def test_an_unknown_name_gets_the_nearest_valid_one():
    message = str(unknown("method", "svea", ["svae", "vae"], "config/x.yaml: methods"))
    assert message.startswith("config/x.yaml: methods: unknown method 'svea', did you mean 'svae'?")
    assert "did you mean" not in str(unknown("method", "zzz", ["svae"], "here"))


def fail_half_way(path):
    path.write_text("half")
    raise ZeroDivisionError


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "table.tsv"
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        fail_half_way(temporary)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["table.tsv"]
    assert path.read_text() == "new"


def test_equal_tables_are_equal_files(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for name in ("one.tsv.gz", "two.tsv.gz"):
        write_table(table, tmp_path / name)
    assert checksum(tmp_path / "one.tsv.gz") == checksum(tmp_path / "two.tsv.gz")
    pd.testing.assert_frame_equal(read_table(tmp_path / "one.tsv.gz"), table)


def test_a_file_that_is_no_h5ad_is_one_sentence(tmp_path):
    path = tmp_path / "wrong.h5ad"
    path.write_text("not an h5ad")
    for wrong in (path, tmp_path / "absent.h5ad"):
        with pytest.raises(BenchmarkError) as error:
            read_anndata(wrong)
        assert str(wrong) in str(error.value)
        assert "\n" not in str(error.value)


def test_seeds_come_from_names_and_their_places():
    assert seed_from(0, "a", "b") == seed_from("0", "a", "b")
    assert (
        len({seed_from(0, "a", "b"), seed_from(0, "b", "a"), seed_from(0, "ab"), seed_from(1, "a", "b")}) == 4
    )
    assert 0 <= seed_from("x") < 2**31


def test_dependencies_are_found_through_imports(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def later():\n    from svae.models.transfer import adapted_shifts\n")
    files = package_files(script)
    assert {"svae/models/transfer.py", "svae/models/module.py", "svae/models/priors.py"} <= set(files)
    assert "svae/report/figures/plots.py" not in files
    notebook = tmp_path / "notebook.py"
    notebook.write_text("import svae\n")
    assert "svae/models/classes.py" in package_files(notebook), "the model classes are loaded on first use"
    scanning = tmp_path / "scanning.py"
    scanning.write_text("from svae.evaluation.metrics import METRICS\n")
    assert "svae/evaluation/metrics/likelihood.py" in package_files(scanning), "the folder is scanned"
