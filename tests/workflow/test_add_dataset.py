"""docs/add-a-dataset.md, followed to the letter."""

import re

import pytest
from checkout import Checkout, once
from pages import Page
from screens import GUIDES, table_row, write_screen

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split

pytestmark = pytest.mark.workflow

PAGE = Page("add-a-dataset.md")
COMMANDS = re.findall(r"^snakemake .*--configfile config/(\w+)\.yaml (\S+)$", PAGE.text, re.MULTILINE)


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Checkout:
    """A copy in which the page was followed, on a made screen; the public one is a file of this machine."""

    def follow(path):
        copy = Checkout.create(path)
        PAGE.follow(copy.path)
        published = copy.path / "published" / "screen.h5ad"
        for place in (published, copy.path / "data" / "my_screen.h5ad"):
            write_screen(place)
        table = copy.path / "config" / "datasets.tsv"
        text = table.read_text(encoding="utf-8")
        row = table_row("somebody2025", published)
        table.write_text(re.sub(r"^somebody2025\t.*\n", row, text, flags=re.MULTILINE), encoding="utf-8")
        for scope, target in COMMANDS:
            copy.snakemake(scope, "--cores", "1", target)

    return once(tmp_path_factory, "datasets", follow)


def test_a_local_file_is_one_entry_and_a_public_one_a_row_as_well():
    assert PAGE.files == ["config/my_screen.yaml", "config/datasets.tsv", "config/public_screen.yaml"]
    assert [scope for scope, _ in COMMANDS] == ["my_screen", "public_screen"]


def test_the_local_file_is_prepared_as_its_entry_says(followed):
    dataset = read_dataset(followed.path / "results/my_screen/data/mine/rep0.h5ad")
    assert set(dataset.obs["perturbation"]) == {"control", "A", "B", "C", "D", "E", "A+B", "strong"}
    assert 0 < dataset.n_obs < sum(GUIDES.values())
    assert "batch" in dataset.obs


def test_the_public_file_is_downloaded_and_verified(followed):
    assert (followed.path / "resources/somebody2025.h5ad").is_file()
    dataset = read_dataset(followed.path / "results/public_screen/data/somebody/rep0.h5ad")
    assert dataset.n_obs == sum(GUIDES.values())
    assert dataset.uns["dataset"]["citation"] == "Somebody et al. (2025)"


@pytest.mark.parametrize(("scope", "target"), COMMANDS)
def test_the_split_is_made(followed, scope, target):
    table = read_split(followed.path / target)
    assert set(table["part"]) == {"train", "validation", "adapt", "test"}
