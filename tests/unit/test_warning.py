"""What the benchmark warns of without the truth."""

import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit
from svae.contracts.tables import WARNINGS_COLUMNS
from svae.evaluation.warning import validation_rise, warnings_of, warnings_of_run

TRAINED = pd.Index(["a", "b"])


def fit_with(train=None, validation=None, masks=None):
    """A fit with a learning curve, with probabilities of targets (perturbation × latent), or with both."""
    history = None
    if validation is not None:
        epochs = np.arange(1, len(validation) + 1)
        history = pd.DataFrame({"epoch": epochs, "train": train, "validation": validation})
    targets = None if masks is None else pd.DataFrame(masks, index=["a", "b", "held out"])
    return Fit(pd.Index(["cell"]), latents=np.zeros((1, 2)), history=history, targets=targets)


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        ([110, 100, 90, 80], [120, 110, 111, 112], True),
        ([110, 100, 90, 80], [120, 110, 110.2, 110.3], False),  # .27 % above the best epoch
        ([110, 100, 90, 80], [120, 110, 105, 104], False),  # far behind training, but it still improves
        ([110, 100, 105, 106], [120, 110, 112, 115], False),  # training got worse as well: no overfitting
        ([110, 100, 90, 80], [120, 110, 112, np.nan], True),  # the last epoch that is known counts
        ([110, 100, 90, 80], [np.nan] * 4, False),
    ],
)
def test_a_fit_overfits_if_validation_gets_worse_while_training_gets_better(train, validation, expected):
    assert warnings_of(fit_with(train, validation), TRAINED) == (["overfits"] if expected else [])


def test_how_far_validation_ends_above_its_best_epoch():
    assert validation_rise(fit_with([3, 2, 1], [220.0, 200, 203]).history) == pytest.approx(0.015)
    assert validation_rise(fit_with([3, 2, 1], [220.0, 210, 200]).history) == 0
    assert np.isnan(validation_rise(None))


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([[0.6, 0.95], [0.8, 0.9], [0.1, 0.1]], ["masks all open"]),
        ([[0.1, 0.4], [0.2, 0.3], [0.9, 0.9]], ["masks all closed"]),
        ([[0.97, 0.92], [0.95, 0.99], [0.1, 0.1]], ["masks hardly moved"]),
        ([[0.97, 0.02], [0.95, 0.99], [0.9, 0.9]], []),
        ([[0.5, 0.6], [0.7, 0.8], [0.9, 0.9]], []),  # one half is neither open nor closed
    ],
)
def test_masks_that_are_all_alike_are_told_and_held_out_perturbations_do_not_count(masks, expected):
    assert warnings_of(fit_with(masks=masks), TRAINED) == expected


def test_a_method_without_masks_or_curve_and_a_failed_fit_are_not_warned_of():
    assert warnings_of(fit_with(), TRAINED) == []
    assert warnings_of(Fit.failed(pd.Index(["cell"]), "timeout", "too long"), TRAINED) == []


def run_of(choices, warnings="", rule="udr", outcome="chosen", penalties=(1, 10, 100)):
    """Tables of a run of one method in which a rule took these penalties, one replicate each."""
    key = {"dataset": "screen", "split": "random", "method": "svae"}
    settings = pd.DataFrame(
        [
            ("svae", f"penalty={penalty}.r{restart}", parameter, str(value))
            for penalty in penalties
            for restart in range(2)
            for parameter, value in (("penalty", penalty), ("restart", restart), ("optimiser", "adam"))
        ],
        columns=["method", "setting", "parameter", "value"],
    )
    names = list(settings["setting"].unique())
    status = [
        {**key, "replicate": replicate, "setting": name, "warnings": warnings}
        for replicate in range(len(choices))
        for name in names
    ]
    selected = [
        {**key, "replicate": replicate, "rule": rule, "setting": f"penalty={choice}.r1", "outcome": outcome}
        for replicate, choice in enumerate(choices)
    ]
    return pd.DataFrame(status), pd.DataFrame(selected), settings


def test_a_choice_at_the_edge_of_its_grid_is_named_with_option_value_and_side():
    table = warnings_of_run(*run_of([100, 100, 10, 1]), "udr")
    assert tuple(table.columns) == WARNINGS_COLUMNS
    assert table[["detail", "n", "planned"]].to_numpy().tolist() == [
        ["penalty = 100, the highest of 3", 2, 4],
        ["penalty = 1, the lowest of 3", 1, 4],
    ]
    assert set(table["warning"]) == {"edge of the grid"}


def test_two_values_have_no_inside_and_restarts_are_no_option():
    assert warnings_of_run(*run_of([1, 10], penalties=(1, 10)), "udr").empty


def test_what_no_rule_chose_is_not_at_an_edge():
    assert warnings_of_run(*run_of([1, 1], outcome="fallback"), "udr").empty
    assert warnings_of_run(*run_of([1, 1], rule="fixed"), "fixed").empty


def test_warnings_are_counted_over_the_replicates_of_the_chosen_settings():
    status, selected, settings = run_of([10, 10, 10])
    status.loc[status["replicate"] == 1, "warnings"] = "overfits; masks all open"
    status.loc[(status["replicate"] == 2) & (status["setting"] != "penalty=10.r1"), "warnings"] = "overfits"
    table = warnings_of_run(status, selected, settings, "udr").set_index("warning")
    assert table[["n", "planned"]].to_dict("index") == {
        "overfits": {"n": 1, "planned": 3},
        "masks all open": {"n": 1, "planned": 3},
    }


def test_a_run_without_any_choice_has_no_warnings():
    status, selected, settings = run_of([1, 1], warnings=np.nan)
    table = warnings_of_run(status, selected.assign(setting=np.nan, outcome="failed"), settings, "udr")
    assert table.empty
    assert tuple(table.columns) == WARNINGS_COLUMNS


def test_a_score_that_does_not_tell_the_ends_apart_is_no_evidence_whatever_the_method():
    calibrated = {"reach": [np.nan, np.nan], "weighted_r2": [0.5, 0.5], "discrimination": [np.nan, 0.5]}
    rows = []
    for score, values in calibrated.items():
        for replicate, value in enumerate(values):
            for method in ("vae", "technical_duplicate"):
                rows.append((replicate, method, f"{score}_adapted", 0.7))
                rows.append((replicate, method, f"{score}_adapted_calibrated", value))
    metrics = pd.DataFrame(rows, columns=["replicate", "method", "metric", "value"])
    metrics = metrics.assign(dataset="screen", split="random")
    table = warnings_of_run(*run_of([10, 10]), "udr", metrics)
    assert tuple(table.columns) == WARNINGS_COLUMNS
    assert table[["warning", "detail", "n", "planned"]].to_numpy().tolist() == [
        ["no evidence", "Perturbation discrimination, adapted", 1, 2],
        ["no evidence", "Reach of differential genes, adapted", 2, 2],
    ]
    assert table["method"].isna().all()
