"""Add the methods of a later run to the committed tables of a scope: add_methods.py FOLDER RUN SCOPE.

Both runs must be of the same datasets and splits. They have methods in common, whose scores must be equal in
both. Rows of a method that ``--anew`` names are replaced by those of the later run. Settings are then chosen
and methods ranked anew, since a correction is for the number of methods.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from select_again import choose_and_rank, required

from svae.contracts.tables import METRICS_COLUMNS, SETTINGS_COLUMNS, read_status, read_tidy
from svae.errors import BenchmarkError
from svae.evaluation.warning import warnings_of_run
from svae.files import write_table
from svae.workflow.scope import Scope

JOINED = ("metrics", "held_out", "status", "settings", "targets", "perturbations", "latent_genes")
"""Tables with a row for a method that do not depend on other methods."""


def join(folder: Path, run: Path, name: str, order: list[str], anew: list[str]) -> pd.DataFrame:
    """Put rows of new methods, and of those fitted `anew`, in their places among those of the others."""
    before, after = read(folder, name), read(run, name)
    before = before[~before["method"].isin(anew)]
    new = after[~after["method"].isin(set(before["method"]))]
    joined = pd.concat([before, new], ignore_index=True).fillna("")
    keys = [key for key in ("dataset", "split", "replicate") if key in joined]
    # Datasets, splits and replicates stay in the order of the folder, and methods come in that of the scope.
    ranks = {key: pd.factorize(joined[key])[0] for key in keys}
    place = pd.DataFrame(ranks | {"method": joined["method"].map(order.index)}, index=joined.index)
    return joined.loc[place.sort_values([*keys, "method"], kind="stable").index]


def read(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of a run as it is written, numbers included, so that no digit changes."""
    return pd.read_csv(required(folder, name), sep="\t", dtype=str, keep_default_na=False)


def refuse_different(folder: Path, run: Path, anew: list[str]) -> int:
    """Raise unless both runs have the same scores of the same fits, but those `anew`; return how many."""
    keys = ["dataset", "split", "replicate", "method", "setting", "metric"]
    before, after = (
        pd.to_numeric(read(place, "metrics").set_index(keys)["value"]) for place in (folder, run)
    )
    lost = without_settings(before.index[before.index.isin(anew, level="method")]).difference(
        without_settings(after.index)
    )
    if len(lost):
        raise BenchmarkError(f"{run}: there is no fit of {' '.join(lost[0])}, which {folder} has")
    shared = before.index.intersection(after.index)
    shared = shared[~shared.isin(anew, level="method")]
    if shared.empty:
        raise BenchmarkError(f"{run}: no method of it is in {folder}, so their data may differ")
    equal = np.isclose(before[shared], after[shared], rtol=1e-5, atol=1e-6, equal_nan=True)
    if not equal.all():
        fit = " ".join(shared[~equal][0])
        raise BenchmarkError(f"{run}: its score of {fit} differs from that in {folder}")
    return len(shared)


def without_settings(fits: pd.MultiIndex) -> pd.MultiIndex:
    """Name dataset, split, replicate and method of fits."""
    return fits.droplevel(["setting", "metric"]).unique()


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the committed tables")
    parser.add_argument("run", type=Path, help="folder with the tables of the later run")
    parser.add_argument("scope", type=Path, help="config file of all methods")
    parser.add_argument("--anew", nargs="+", default=[], metavar="METHOD", help="methods fitted again in it")
    arguments = parser.parse_args()
    scope, folder = Scope.read(arguments.scope), arguments.folder
    print(f"{refuse_different(folder, arguments.run, arguments.anew)} scores are equal in both runs")
    for name in JOINED:
        joined = join(folder, arguments.run, name, list(scope.methods), arguments.anew)
        write_table(joined, required(folder, name))
    selected = choose_and_rank(folder, scope)
    warned = warnings_of_run(
        read_status(required(folder, "status")),
        selected,
        read_tidy(required(folder, "settings"), SETTINGS_COLUMNS),
        rule=scope.selection.rule,
        metrics=read_tidy(required(folder, "metrics"), METRICS_COLUMNS),
    )
    write_table(warned, required(folder, "warnings"))


if __name__ == "__main__":
    main()
