"""The one file that a cluster's site edits, and what the profile makes of it."""

import pytest
from checkout import ROOT
from snakemake.profiles import ProfileConfigFileParser

from svae.errors import BenchmarkError
from svae.workflow.site import Site

SITE = ROOT / "slurm" / "partitions.yaml"
WITH_GPUS = {"standard": {}, "gpu": {"max_gpu": 4}}


def site_in(folder, text):
    """Write a site file, and read it."""
    path = folder / "partitions.yaml"
    path.write_text(text, encoding="utf-8")
    return Site.read(path)


def profile_of(folder, monkeypatch, site):
    """Options that the profile gives to Snakemake where the site file is `site`."""
    (folder / "slurm").mkdir()
    (folder / "slurm" / "partitions.yaml").write_text(site, encoding="utf-8")
    monkeypatch.chdir(folder)
    with open(ROOT / "slurm" / "config.yaml", encoding="utf-8") as profile:
        return ProfileConfigFileParser().parse(profile)


@pytest.mark.parametrize(
    ("accelerator", "partitions", "asks"),
    [
        ("cuda", WITH_GPUS, True),
        ("auto", WITH_GPUS, True),
        ("cpu", WITH_GPUS, False),
        ("auto", {"standard": {"max_runtime": "7d"}}, False),
        ("auto", {}, False),
        ("cuda", {}, True),
    ],
)
def test_auto_asks_for_a_gpu_where_there_are_any(accelerator, partitions, asks):
    site = Site.model_validate({"partitions": partitions, "gpu": {"gres": "gpu:1"}})
    assert site.gpu_request(accelerator) == ({"gres": "gpu:1"} if asks else {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("partitons: {}", "unknown key 'partitons', did you mean 'partitions'?"),
        (
            "partitions: {gpu: {max_gpus: 4}}",
            "partitions: gpu: unknown key 'max_gpus', did you mean 'max_gpu'?",
        ),
        ("acount: mine", "unknown key 'acount', did you mean 'account'?"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(BenchmarkError) as raised:
        site_in(tmp_path, text)
    assert sentence in str(raised.value)
    assert "partitions.yaml" in str(raised.value)


def test_every_commented_example_is_valid(tmp_path):
    """A site that takes the comment sign away gets a file that is read."""
    text = SITE.read_text(encoding="utf-8")
    starts = ("# gpu:", "# account:", "# qos:")
    examples = [line.removeprefix("# ") for line in text.splitlines() if line.startswith(starts)]
    one_partition = text.partition("# partitions:\n")[2].partition("\n\n")[0].replace("#   ", "  ")
    assert site_in(tmp_path, f"partitions:\n{one_partition}").has_gpus
    assert len(examples) == 5
    for example in examples:
        site_in(tmp_path, example)


def test_the_profile_takes_account_and_qos_from_the_site_file(tmp_path, monkeypatch):
    options = profile_of(tmp_path, monkeypatch, "account: mine\nqos: long")
    assert "slurm_account=mine" in options["default-resources"]
    assert options["slurm-qos"] == "long"
    assert options["slurm-no-account"] == "False"


def test_without_an_account_none_is_sent(tmp_path, monkeypatch):
    options = profile_of(tmp_path, monkeypatch, "partitions: {}")
    assert not any("slurm_account" in entry for entry in options["default-resources"])
    assert "slurm-qos" not in options
    assert options["slurm-no-account"] == "True"


def test_the_profile_names_no_method():
    assert "fit_" not in (ROOT / "slurm" / "config.yaml").read_text(encoding="utf-8")
