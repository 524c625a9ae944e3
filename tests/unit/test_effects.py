"""Which perturbations act alike: the numbers behind the figure of shared targets, and how they are shown."""

from dataclasses import replace
from functools import cache

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables

from svae.report.effects import effect_sizes, nearest_of_held_out, nearest_trained, similarity
from svae.report.figures import draw


def targets_of(replicates, setting="penalty=10"):
    """Table of targets from {replicate: {perturbation: [(probability, shift), …]}}."""
    rows = [
        {
            **{"dataset": "screen", "split": "random", "replicate": replicate, "method": "svae_plus"},
            **{"setting": setting, "perturbation": perturbation, "part": "trained", "true": np.nan},
            **{"latent": latent + 1, "probability": probability, "shift": shift},
        }
        for replicate, fit in replicates.items()
        for perturbation, effect in fit.items()
        for latent, (probability, shift) in enumerate(effect)
    ]
    return pd.DataFrame(rows)


def similarity_of(targets, first, second):
    pairs = similarity(targets).set_index(["perturbation", "other"])
    return pairs.loc[(first, second)]


@cache
def simulated():
    return fake_tables(replicates=2, methods=["svae_plus", "svae"], metrics=["mcc_pearson"])


@cache
def screen():
    return fake_tables(["screen"], truth=False, replicates=3, methods=["svae_plus"], metrics=["inll_clean"])


def show(targets, settings=None):
    tables = replace(screen(), targets=targets)
    return draw("shared_targets", tables if settings is None else replace(tables, settings=settings))


def words(drawn):
    return [text.get_text() for text in drawn.figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_similarity_does_not_depend_on_the_order_and_sign_of_latents():
    targets = simulated().targets
    targets = targets[(targets["method"] == "svae_plus") & (targets["replicate"] == 0)]
    flipped = targets.assign(latent=16 - targets["latent"], shift=-targets["shift"])
    pd.testing.assert_frame_equal(similarity(targets), similarity(flipped))
    itself = similarity(targets).query("perturbation == other")["similarity"].dropna()
    assert len(itself) > 10
    assert np.allclose(itself, 1)


def test_open_masks_on_tiny_shifts_make_no_picture():
    rng = np.random.default_rng(0)

    def effect(size):
        return [(1.0, size)] + [(1.0, shift) for shift in rng.normal(0, 0.05, 14)]

    alike = similarity_of(targets_of({0: {"A": effect(5), "B": effect(5)}}), "A", "B")
    assert alike["similarity"] > 0.99, "one large shift counts more than fourteen random signs"
    idle = [(1.0, shift) for shift in rng.normal(0, 0.01, 15)]
    none = similarity_of(targets_of({0: {"A": effect(5), "C": idle}}), "A", "C")
    assert np.isnan(none["similarity"]), "open masks on shifts of almost nothing are no effect"


def test_shifts_without_an_open_mask_are_no_effect():
    targets = targets_of({0: {"A": [(0.9, 2.0), (0.1, 0.0)], "B": [(0.3, 2.0), (0.1, 2.0)]}})
    assert similarity_of(targets, "A", "B")["n"] == 0
    assert effect_sizes(targets)["B"] == 0


def test_a_perturbation_without_targets_has_no_direction_not_even_its_own():
    none, one = [(0.1, 0.0), (0.1, 0.0)], [(0.9, 2.0), (0.1, 0.0)]
    targets = targets_of({0: {"A": none, "B": one}, 1: {"A": one, "B": one}, 2: {"A": none, "B": one}})
    itself = similarity_of(targets, "A", "A")
    assert (itself["similarity"], itself["n"], itself["together"]) == (pytest.approx(1), 1, 3)
    never = similarity_of(targets_of({0: {"A": none, "B": one}}), "A", "A")
    assert np.isnan(never["similarity"])


def test_pairs_never_trained_together_are_told_from_pairs_that_share_nothing():
    x, y = [(0.9, 2.0), (0.1, 0.0)], [(0.1, 0.0), (0.9, 2.0)]
    targets = targets_of({0: {"A": x, "B": y}, 1: {"A": x, "C": y}})
    nothing, apart = similarity_of(targets, "A", "B"), similarity_of(targets, "B", "C")
    assert (nothing["similarity"], nothing["together"]) == (pytest.approx(0, abs=0.02), 1)
    nothing = similarity_of(targets_of({0: {"A": [(1, 2.0), (0, 0)], "B": [(0, 0), (1, 2.0)]}}), "A", "B")
    assert nothing["similarity"] == 0
    assert np.isnan(apart["similarity"])
    assert apart["together"] == 0
    drawn = show(targets)
    table = drawn.table.set_index(["perturbation", "other"])
    assert table.loc[("B", "C"), "together"] == 0
    hatched = [art for ax in drawn.figure.axes for art in ax.collections if art.get_hatch()]
    assert len(hatched) == 1
    assert np.ma.count(hatched[0].get_array()) == 2, "B with C, and C with B"


def test_settings_chosen_differently_are_not_averaged_silently():
    one = {"A": [(0.9, 2.0)], "B": [(0.9, 1.0)]}
    targets = pd.concat([targets_of({0: one}, "penalty=10.r1"), targets_of({1: one}, "penalty=30.r0")])
    drawn = show(targets)
    assert "Mean of 2 replicates with 2 different settings: penalty = 10; penalty = 30" in words(drawn)
    assert set(drawn.table["settings"]) == {2}
    same = pd.concat([targets_of({0: one}, "penalty=10.r1"), targets_of({1: one}, "penalty=10.r0")])
    drawn = show(same)
    assert "Mean of 2 replicates, all with penalty = 10" in words(drawn)
    assert set(drawn.table["settings"]) == {1}


def many(perturbations):
    """Perturbations whose effects grow with their number; none is negligible beside the largest."""
    return targets_of({0: {f"GENE{k:03d}": [(0.9, 20.0 + k), (0.9, 1.0)] for k in range(perturbations)}})


@pytest.mark.parametrize("figure", ["shared_targets", "target_matrix"])
def test_all_names_are_written_where_they_fit(figure):
    drawn = draw(figure, replace(screen(), targets=many(75)))
    names = {text for text in words(drawn) if text.startswith("GENE")}
    assert names == {f"GENE{k:03d}" for k in range(75)}


def test_perturbations_without_targets_are_counted_and_not_drawn():
    drawn = show(targets_of({0: {"A": [(0.9, 2.0)], "B": [(0.9, 1.0)], "C": [(0.1, 1.0)]}}))
    assert "C" not in words(drawn)
    assert any("1 of 3 perturbations have no targets" in text for text in words(drawn))
    assert set(drawn.table["perturbation"]) == {"A", "B", "C"}, "the table has all"


@pytest.mark.parametrize("figure", ["shared_targets", "target_matrix"])
def test_of_too_many_perturbations_the_most_affected_are_shown_with_names_that_can_be_read(figure):
    drawn = draw(figure, replace(screen(), targets=many(200)))
    names = [text for text in drawn.figure.findobj(matplotlib.text.Text) if "GENE" in text.get_text()]
    shown = {text.get_text() for text in names}
    assert 70 <= len(shown) < 200
    assert max(shown) == "GENE199"
    assert min(shown) == f"GENE{200 - len(shown):03d}"
    assert min(text.get_fontsize() for text in names) >= 5
    assert any("most affected" in text and "200" in text for text in words(drawn))
    assert drawn.table["perturbation"].nunique() == 200, "the table behind the figure has all"


def test_names_do_not_overlap():
    drawn = draw("shared_targets", replace(screen(), targets=many(200)))
    drawn.figure.draw_without_rendering()
    ax = drawn.figure.axes[0]
    tops = sorted(label.get_window_extent().y0 for label in ax.get_yticklabels())
    height = np.median(np.diff(tops)) * 72 / drawn.figure.dpi
    assert height > 0.9 * ax.get_yticklabels()[0].get_fontsize()


def shifted(perturbation, part, probability, shifts):
    """Rows of the table of targets for one perturbation."""
    return [
        {"perturbation": perturbation, "part": part, "latent": j + 1, "probability": p, "shift": s}
        for j, (p, s) in enumerate(zip(probability, shifts, strict=True))
    ]


def test_the_nearest_trained_perturbations_are_those_with_the_same_direction():
    targets = pd.DataFrame(
        [
            *shifted("control", "trained", (0, 0), (0, 0)),
            *shifted("same", "trained", (1, 0.1), (2, 0)),
            *shifted("opposite", "trained", (1, 0.1), (-3, 0)),
            *shifted("other", "trained", (0.1, 1), (0, 1)),
            *shifted("idle", "trained", (0.1, 0.1), (4, 0)),
            *shifted("new", "held_out", (np.nan, np.nan), (3, 4)),
            *shifted("short", "held_out", (np.nan, np.nan), (0, -0.5)),
        ]
    )
    found = nearest_trained(targets, 2)
    assert list(found["perturbation"]) == ["new", "new", "short", "short"], "long shifts first"
    assert list(found["other"][:2]) == ["other", "same"], "what has no target has no direction"
    np.testing.assert_allclose(found["similarity"][:2], [0.8, 0.6])
    np.testing.assert_allclose(found["size"], [5, 5, 0.5, 0.5])


def test_each_fold_tells_what_the_perturbations_that_it_held_out_are_like():
    folds = []
    for replicate, new in enumerate(["a", "b", "a"]):
        of_fold = [*shifted(new, "held_out", (np.nan, np.nan), (1, 0))]
        for name in {"a", "b", "c"} - {new}:
            of_fold += shifted(name, "trained", (1, 1), (1, replicate))
        fit = {"dataset": "d", "split": "each", "replicate": replicate, "setting": "s"}
        folds.append(pd.DataFrame(of_fold).assign(**fit))
    found = nearest_of_held_out(pd.concat(folds), 2)
    places = found.groupby("perturbation")["replicate"].unique().map(list).to_dict()
    assert places == {"a": [0], "b": [1]}, "where each was held out first"
    assert set(found.loc[found["perturbation"] == "b", "other"]) == {"a", "c"}
    assert nearest_of_held_out(pd.concat(folds).head(0), 2).empty
