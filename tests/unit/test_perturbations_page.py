"""The page of perturbations: a row for each one, with what the tables of a run say of it."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables

from svae.differential import FDR
from svae.evaluation.responding import BEYOND
from svae.report.perturbations_page import FIDELITY, HEADS, describe_perturbations, perturbations_html
from svae.report.values import first_fits
from svae.targets import THRESHOLD

SCREENS = ["screen", "other"]


@pytest.fixture(scope="module")
def tables():
    return fake_tables(
        SCREENS, truth=False, replicates=2, methods=["svae_plus", "vae"], metrics=["inll_clean"], epochs=2
    )


def described(tables):
    known = tables.perturbations[tables.perturbations["method"] == "svae_plus"]
    return describe_perturbations(tables, first_fits(known)[0]).set_index("perturbation")


class Rows(HTMLParser):
    """Reads the texts of the cells of all rows of a page."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.is_cell = [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.is_cell = tag in ("th", "td")

    def handle_endtag(self, tag):
        self.is_cell = False

    def handle_data(self, data):
        if self.is_cell:
            self.rows[-1].append(data)


def test_there_is_a_row_for_each_perturbation_the_largest_effect_first(tables):
    rows = Rows(perturbations_html(tables)).rows
    assert len(rows) == len(SCREENS) * (1 + 20)
    names = [f"GENE{k}" for k in reversed(range(20))]
    for heads, *body in (rows[:21], rows[21:]):
        assert heads[:3] == [HEADS["perturbation"], HEADS["cells"], HEADS["effect"]]
        assert [row[0] for row in body] == names
        assert body[0][:6] == ["GENE19", "119", "9.50", "−1.90", "95 %", "38"]


def test_what_a_fit_calls_is_told_of_trained_perturbations(tables):
    rows = {row[0]: row for row in Rows(perturbations_html(tables)).rows[:21]}
    column = rows[HEADS["perturbation"]].index(HEADS["called"])
    assert rows["GENE7"][column] == "7 (3)"
    assert rows["GENE19"][column] == "—"


def test_targets_are_numbered_and_named_with_their_directions(tables):
    table = described(tables)
    fit = table.iloc[0][["dataset", "split", "replicate", "method", "setting"]]
    rows = tables.targets.merge(fit.to_frame().T)
    for name, group in rows[rows["part"] == "trained"].groupby("perturbation"):
        sure = group[group["probability"] > THRESHOLD]
        named = [f"{row.latent} {'↑' if row.shift > 0 else '↓'}" for row in sure.itertuples()]
        expected = f"{len(sure)} ({', '.join(named)})" if len(sure) else "0"
        assert table.loc[name, "targets"] == expected
    assert pd.isna(table.loc["GENE19", "targets"])


def test_held_out_perturbations_have_neighbours_and_trained_ones_have_none(tables):
    table = described(tables)
    assert table.loc["GENE19", "held_out"] == "replicate 0"
    assert table.loc["GENE19", "nearest"].count("GENE") == 3
    assert table.loc["GENE1", "held_out"] == "never"
    assert pd.isna(table.loc["GENE1", "nearest"])


def test_a_trained_perturbation_that_points_the_other_way_is_no_neighbour(tables):
    """GENE1 alone has a target here, which GENE19, held out, moves in the other direction."""
    targets = tables.targets.copy()
    targets.loc[targets["part"] == "trained", "probability"] = 0.0
    one = (targets["perturbation"] == "GENE1") & (targets["latent"] == targets["latent"].iloc[0])
    targets.loc[one, ["probability", "shift"]] = 1.0, 2.0
    away = targets["perturbation"] == "GENE19"
    targets.loc[away, "shift"] = -1.0
    assert pd.isna(described(replace(tables, targets=targets)).loc["GENE19", "nearest"])
    targets.loc[away, "shift"] = 1.0
    assert "GENE1 (" in described(replace(tables, targets=targets)).loc["GENE19", "nearest"]


def test_a_perturbation_that_another_fold_held_out_is_told_from_there(tables):
    """GENE19 is trained on in replicate 0 here, and held out in replicate 1 alone."""
    changed = {}
    for name in ("targets", "perturbations"):
        table = getattr(tables, name).copy()
        first = (table["perturbation"] == "GENE19") & (table["replicate"] == 0)
        table.loc[first, "part"] = "trained"
        changed[name] = table
    row = described(replace(tables, **changed)).loc["GENE19"]
    assert row["held_out"] == "replicate 1"
    assert row["nearest"].count("GENE") == 3
    assert pd.notna(row["targets"])


def test_the_split_is_named_where_there_are_several(tables):
    table = tables.perturbations.copy()
    table.loc[table["replicate"] == 1, "split"] = "second"
    assert described(replace(tables, perturbations=table)).loc["GENE19", "held_out"] == "paper, replicate 0"


def test_predictions_of_held_out_perturbations_are_averaged_over_chosen_fits(tables):
    chosen = tables.selected.query(f"rule == '{tables.rule}' and dataset == 'screen'")
    rows = chosen.drop(columns=["rule", "outcome"]).assign(perturbation="GENE19", effect=1.0, metric=FIDELITY)
    rows["value"] = np.where(rows["method"] == "svae_plus", rows["replicate"].map({0: 0.5, 1: 0.7}), 0.0)
    not_chosen = rows.assign(setting="other", value=1.0)
    told = replace(tables, held_out=pd.concat([rows, not_chosen], ignore_index=True))
    assert described(told)["fidelity"].dropna().to_dict() == {"GENE19": pytest.approx(0.6)}
    assert HEADS["fidelity"] in Rows(perturbations_html(told)).rows[0]


def test_a_column_of_which_nothing_is_known_is_left_out(tables):
    [of_svae_plus, *_] = Rows(perturbations_html(tables)).rows
    assert HEADS["targets"] in of_svae_plus
    assert HEADS["fidelity"] not in of_svae_plus, "no predictions were scored"
    of_vae = Rows(perturbations_html(replace(tables, reference="vae"))).rows[0]
    assert HEADS["targets"] not in of_vae, "a VAE has no targets"
    assert HEADS["effect"] in of_vae
    without_control = tables.perturbations.assign(
        effect=np.nan, own_change=np.nan, responding=np.nan, differential=np.nan
    )
    [heads, *_] = Rows(perturbations_html(replace(tables, perturbations=without_control))).rows
    assert not {HEADS["effect"], HEADS["own_change"], HEADS["responding"], HEADS["differential"]} & set(heads)


def test_the_fit_is_named_and_one_that_failed_is_told(tables):
    setting = described(tables)["setting"].iloc[0]
    assert f"paper, replicate 0, {setting}." in perturbations_html(tables)
    empty = replace(tables, perturbations=tables.perturbations.head(0))
    assert "No fit of sVAE+ ended well." in perturbations_html(empty)


def test_the_page_says_the_numbers_of_the_code(tables):
    page = perturbations_html(tables)
    assert f"adjusted p &lt; {FDR:g}" in page
    assert f"than {BEYOND:.0%} of the control cells".replace("%", "&nbsp;%") in page
    assert f"false-discovery rate of {FDR:.0%}".replace("%", "&nbsp;%") in page
