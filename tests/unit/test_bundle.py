"""Bundles: what is no bundle is refused, and equal results are equal files."""

import zipfile

import pytest

from svae.errors import BenchmarkError
from svae.report.bundle import main, pack, redraw


@pytest.fixture
def files(tmp_path):
    """A manifest alone."""
    (tmp_path / "m").write_text('{"view": {"rule": "udr", "reference": "vae"}}', encoding="utf-8")
    return {"manifest.json": tmp_path / "m"}


def test_what_is_no_bundle_is_told(tmp_path, files):
    path = tmp_path / "bundle.zip"
    with pytest.raises(BenchmarkError, match=r"bundle.zip: not a readable zip file \(FileNotFoundError"):
        redraw(path, tmp_path)
    path.write_text("no zip", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"bundle.zip: not a readable zip file \(BadZipFile"):
        redraw(path, tmp_path)
    pack({}, {}, path)
    with pytest.raises(BenchmarkError, match=r"there is no manifest.json in it, so it is no bundle of a run"):
        redraw(path, tmp_path)
    pack(files, {}, path)
    with pytest.raises(BenchmarkError, match=r"there is no metrics.tsv in it"):
        redraw(path, tmp_path)


def test_the_command_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bundle", str(tmp_path / "no.zip"), str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "no.zip: not a readable zip file" in capsys.readouterr().err.splitlines()[-1]


def test_equal_results_are_equal_bundles(tmp_path, files):
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).mkdir()
        pack(files, {"config.yaml": "scope: demo\n"}, tmp_path / name / "demo.zip")
    first, second = (tmp_path / name / "demo.zip" for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as bundle:
        assert sorted(bundle.namelist()) == ["README.txt", "config.yaml", "manifest.json"]
        assert "python -m svae.report.bundle demo.zip figures" in bundle.read("README.txt").decode()
