"""Which genes latents move, which gene sets are among them, and how both are drawn."""

import matplotlib.text
import numpy as np
import pandas as pd
from fake_tables import fake_tables

from svae.contracts.fit import Fit
from svae.evaluation.enrichment import FEWEST, enrichment
from svae.evaluation.latent_genes import tidy_latent_genes
from svae.report.figures import draw

GENES = pd.Index([f"g{j}" for j in range(100)])
CHANGES = pd.DataFrame(np.random.default_rng(0).normal(size=(2, 100)), [1, 2], GENES)
SETS = {
    "moved": list(GENES[:10]),
    "not moved": list(GENES[50:60]),
    "too small": list(GENES[: FEWEST - 1]) + ["elsewhere"] * 10,
}


def moved(latent: int, direction: int) -> pd.DataFrame:
    """Changes in which one set is moved by one latent."""
    changes = CHANGES.copy()
    changes.loc[latent, SETS["moved"]] = 3.0 * direction
    return changes


def test_latents_are_numbered_and_have_all_genes():
    cells = pd.Index(["a"])
    by_name = CHANGES.set_axis(["z1", "z2"])
    tables = {"probability": by_name.abs().clip(upper=1), "log2_fold_change": by_name}
    table = tidy_latent_genes(Fit(cells, latents=np.ones((1, 2)), latent_genes=tables))
    assert len(table) == 200
    one = table[(table["latent"] == 2) & (table["gene"] == "g7")].iloc[0]
    assert one["log2_fold_change"] == CHANGES.loc[2, "g7"]
    assert one["probability"] == min(1, abs(CHANGES.loc[2, "g7"]))
    assert tidy_latent_genes(Fit(cells, latents=np.ones((1, 2)))).empty


def test_a_set_that_a_latent_moves_is_found_with_its_direction():
    for direction in (1, -1):
        found = enrichment(moved(2, direction), SETS).set_index(["latent", "gene_set"])
        assert found.loc[(2, "moved"), "p_adjusted"] < 0.05
        assert np.sign(found.loc[(2, "moved"), "score"]) == direction
        assert found.loc[(2, "moved"), "genes"] == 10
        assert found["p"].idxmin() == (2, "moved")
        assert found.loc[1, "p_adjusted"].min() > 0.05, "the other latent moves neither"
        assert "too small" not in found.index.get_level_values("gene_set")


def test_p_is_adjusted_for_all_latents_and_sets():
    found = enrichment(moved(1, 1), SETS)
    assert len(found) == 4
    assert found["p"].min() > 0, "no number of permutations shows a p of 0"
    assert np.isclose(found["p_adjusted"].min(), 4 * found["p"].min())


def test_without_a_set_that_is_large_enough_there_is_nothing_to_say():
    assert enrichment(CHANGES, {"too small": SETS["too small"]}).empty


def test_equal_seeds_give_equal_scores():
    pd.testing.assert_frame_equal(enrichment(CHANGES, SETS, seed=3), enrichment(CHANGES, SETS, seed=3))


def test_the_figure_shows_the_genes_the_perturbations_and_the_set_of_the_latents_that_are_moved_most():
    tables = fake_tables(["screen"], truth=False, replicates=2, methods=["svae_plus", "vae"])
    drawn = draw("latent_genes", tables)
    assert set(drawn.table["replicate"]) == {0}, "latents of two fits have nothing to do with each other"
    assert drawn.table.groupby("latent").size().eq(8).all()
    first = drawn.table.iloc[0]["latent"]
    targets = tables.targets.query("method == 'svae_plus' and replicate == 0 and part == 'trained'")
    sizes = (targets["probability"] * targets["shift"]).abs().groupby(targets["latent"]).sum()
    assert sizes.idxmax() == first
    assert set(drawn.table.loc[drawn.table["latent"] == 1, "gene_set"]) == {"Interferon signalling"}
    assert set(drawn.table.loc[drawn.table["latent"] == 2, "gene_set"]) == {""}, "it is not enriched"
    words = [text.get_text() for text in drawn.figure.findobj(matplotlib.text.Text)]
    assert any(word.startswith(f"Latent {first}\n") for word in words)
    assert "Drawn are 6 of 15 latents" in " ".join(words)
