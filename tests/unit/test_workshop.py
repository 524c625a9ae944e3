"""The small tools: errors, files, seeds, dependencies."""

import pandas as pd
import pytest
from checkout import ROOT

from svae.errors import BenchmarkError, unknown
from svae.files import checksum, read_anndata, read_table, replacing, write_table
from svae.seeds import seed_from
from svae.workflow.dependencies import PACKAGE, package_files


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


def run_by(path, text):
    """Files of the package that a script with this text runs, by their places in the repository."""
    path.write_text(text, encoding="utf-8")
    return {str(file.relative_to(PACKAGE.parent)) for file in package_files(path)}


def test_dependencies_are_found_through_imports(tmp_path):
    files = run_by(tmp_path / "s.py", "def later():\n    from svae.models.transfer import adapted_shifts\n")
    assert {"svae/models/transfer.py", "svae/models/module.py", "svae/models/priors.py"} <= files
    assert not any(file.startswith("svae/report/") for file in files)


def test_the_model_classes_are_dependencies_where_they_are_loaded_on_first_use(tmp_path):
    assert any(
        "svae_plus" in file or "classes" in file for file in run_by(tmp_path / "s.py", "import svae\n")
    )


def test_a_folder_that_is_imported_as_a_whole_is_followed(tmp_path):
    metrics = run_by(tmp_path / "s.py", "from svae.evaluation.metrics import METRICS\n")
    assert {
        f"svae/evaluation/metrics/{path.name}" for path in (PACKAGE / "evaluation/metrics").glob("*.py")
    } <= metrics


def test_a_folder_from_which_one_module_is_chosen_is_not_followed(tmp_path):
    files = run_by(tmp_path / "s.py", "from svae.simulation import simulate\n")
    assert "svae/simulation/registry.py" in files
    assert "svae/simulation/simulators/corrected.py" not in files


@pytest.mark.parametrize(
    ("script", "rooms"),
    [
        ("prepare", {"contracts", "datasets", "workflow"}),
        ("split", {"contracts", "datasets", "workflow"}),
        ("fit_linear", {"contracts", "methods", "workflow"}),
        # The simulator says which genes a perturbation moves.
        ("evaluate", {"contracts", "evaluation", "simulation", "workflow"}),
        ("collect", {"contracts", "workflow"}),
    ],
)
def test_a_script_depends_on_no_other_rooms(script, rooms):
    files = package_files(ROOT / "workflow_scripts" / f"{script}.py")
    found = {file.relative_to(PACKAGE).parts[0] for file in files}
    assert {name for name in found if not name.endswith(".py") and name != "py.typed"} == rooms
