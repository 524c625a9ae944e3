"""Bundles: they hold the report, what is none is refused, and equal results are equal files."""

import os
import shutil
import subprocess
import zipfile

import pytest
from checkout import ROOT

from svae.errors import BenchmarkError
from svae.report.bundle import is_newer, main, pack, redraw


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


def test_a_bundle_says_whether_the_report_is_in_it(tmp_path, files, caplog):
    (tmp_path / "demo.html").write_text("<html>", encoding="utf-8")
    told = {}
    for name, page in (("with", {"report.html": tmp_path / "demo.html"}), ("without", {})):
        pack(files | page, {}, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as bundle:
            assert ("report.html" in bundle.namelist()) == (name == "with")
            told[name] = bundle.read("README.txt").decode()
    assert "report.html, is one file that a browser opens" in told["with"]
    missing = "The report of the run is missing: none was written after these results."
    assert missing in told["without"]
    assert caplog.messages == [f"{tmp_path / 'without'}: {missing} `make bundle` writes it."]


def test_a_report_of_earlier_results_is_found_out(tmp_path):
    for name, written in (("old.tsv", 1), ("report.html", 2), ("new.tsv", 3)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (written, written))
    page, old, new = (tmp_path / name for name in ("report.html", "old.tsv", "new.tsv"))
    assert is_newer(page, [old])
    assert not is_newer(page, [old, new])


@pytest.mark.parametrize("failing", [False, True], ids=["all ends well", "a method failed"])
def test_make_writes_the_report_first_and_packs_it_whatever_failed(tmp_path, failing):
    """Snakemake and Python are programs that note what they are asked for."""
    (tmp_path / "environment" / "bin").mkdir(parents=True)
    for file in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / file, tmp_path)
    shutil.copy(ROOT / "requirements.lock", tmp_path / "environment")
    fails = "case $* in *--keep-going*) exit 1;; esac" if failing else ""
    for program in ("snakemake", "python"):
        path = tmp_path / "environment" / "bin" / program
        path.write_text(f'#!/bin/sh\necho "$*" >> asked.txt\n{fails}\n', encoding="utf-8")
        path.chmod(0o755)
    done = subprocess.run(
        ["make", "bundle", "SCOPE=mine"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SVAE_ENVIRONMENT": str(tmp_path / "environment")},
        capture_output=True,
        check=False,
    )
    asked = (tmp_path / "asked.txt").read_text(encoding="utf-8").splitlines()
    assert "--report reports/mine.html" in asked[-2]
    assert asked[-1].endswith("reports/mine.zip")
    assert (done.returncode != 0) == failing
