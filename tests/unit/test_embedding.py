"""The map of the cells of a fit, and how batches are mixed in it."""

from dataclasses import replace

import matplotlib.text
import numpy as np
import pandas as pd
from fake_tables import fake_tables

from svae.evaluation import embedding
from svae.evaluation.embedding import batches_nearby, embed
from svae.report.figures import draw

N = 60


def cells(batch_effect: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Latents, split and batches of cells of two perturbations that are far from each other."""
    names = [f"cell{i}" for i in range(N)]
    perturbation, batch = np.repeat(["a", "b"], N // 2), np.tile(["1", "2"], N // 2)
    latents = np.random.default_rng(0).normal(size=(N, 3))
    latents[:, 0] += 30 * (perturbation == "a")
    latents[:, 1] += batch_effect * (batch == "1")
    split = pd.DataFrame({"cell": names, "perturbation": perturbation, "part": "train"})
    return pd.DataFrame(latents, names), split, pd.Series(batch, names)


def test_neighbours_in_the_latents_are_neighbours_on_the_map():
    latents, split, batches = cells(batch_effect=0)
    table = embed(latents, split, batches, seed=0)
    assert list(table["cell"]) == list(split["cell"])
    places = table[["x", "y"]].to_numpy()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(N, np.inf))
    nearest = table["perturbation"].to_numpy()[distances.argmin(axis=1)]
    assert (nearest == table["perturbation"]).mean() > 0.95
    pd.testing.assert_frame_equal(table, embed(latents, split, batches, seed=0))


def test_a_batch_effect_separates_batches():
    mixed, separate = (embed(*cells(effect), seed=0)["batches_nearby"].mean() for effect in (0, 30))
    assert separate < 1.05 < 1.5 < mixed


def test_at_most_so_many_cells_are_drawn(monkeypatch):
    monkeypatch.setattr(embedding, "MOST_CELLS", 40)
    latents, split, _ = cells(batch_effect=0)
    table = embed(latents, split, None, seed=2**32 + 1)  # larger than umap's own seeds
    assert len(table) == 40
    assert set(table["batch"]) == {""}
    assert (table["batches_nearby"] == 1).all()


def test_the_inverse_simpson_index_counts_batches():
    latents = np.array([[0.0], [1.0], [2.1], [9.0]])
    found = batches_nearby(latents, np.array(["a", "a", "b", "b"]), 2)
    np.testing.assert_allclose(found, [2, 2, 1, 2], err_msg="of a+b, a+b, a+a, a+b")


def test_the_figure_says_how_batches_are_mixed():
    tables = fake_tables(["screen"], truth=False, replicates=1, methods=["svae_plus", "vae"])
    drawn = draw("embedding", tables)
    words = " ".join(text.get_text() for text in drawn.figure.findobj(matplotlib.text.Text))
    assert "UMAP of 300 cells" in words
    assert f"{tables.embedding['batches_nearby'].mean():.2f} on average" in " ".join(words.split())
    assert "others" in words


def test_the_figure_colours_pathways_where_they_are_known():
    tables = fake_tables(["screen"], truth=False, replicates=1, methods=["svae_plus"])
    titles = [ax.get_title() for ax in draw("embedding", tables).figure.axes]
    assert [title for title in titles if title] == ["Perturbation", "Pathway", "Batch"]
    without = replace(tables, pathways=tables.pathways.iloc[:0])
    titles = [ax.get_title() for ax in draw("embedding", without).figure.axes]
    assert [title for title in titles if title] == ["Perturbation", "Batch"]


def test_the_pathway_of_a_perturbation_is_the_one_that_most_others_are_in():
    tables = fake_tables(["screen"], truth=False, replicates=1, methods=["svae_plus"])
    expected = dict.fromkeys(["GENE0", "GENE1", "GENE2"], "Interferon signalling") | {"GENE3": "Translation"}
    assert tables.pathway_of("screen").to_dict() == expected
    assert tables.pathway_of("another").empty
