"""One count matrix on its way from file to figure: `walk.py FOLDER`.

It calls what the workflow calls, for two methods that train nothing, and ends by printing the names of all
modules that this loaded, one per line.
"""

import sys
from pathlib import Path

import pandas as pd

from svae.contracts.dataset import read_dataset, write_dataset
from svae.contracts.fit import write as write_fit
from svae.contracts.setting import Setting
from svae.contracts.split import read_split, write_split
from svae.contracts.tables import with_run
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation.evaluate import evaluate_fit, read_fit
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.metrics import choose_metrics, metrics_table
from svae.evaluation.selection import select
from svae.files import write_anndata
from svae.methods.anchors import fit_random
from svae.methods.linear import fit_linear
from svae.report.figures import draw, save
from svae.report.methods_table import read_methods
from svae.report.tables import COLUMNS, Tables
from svae.simulation import simulate

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"perturbations": 8, "cells_per_perturbation": 20, "latents": 3, "hidden": 8, "genes": 20}

folder = Path(sys.argv[1])

# A file as a laboratory would publish it, of cells whose latents we happen to know.
screen, truth = simulate("corrected", seed=0, control_cells=20, **SIZES)
screen.obs["guide"] = screen.obs.pop("perturbation").cat.rename_categories({"control": "NT"})
write_anndata(screen, folder / "published.h5ad")

preparation = Preparation(label="guide", control="NT", min_cells=10)
write_dataset(prepare(folder / "published.h5ad", preparation), folder / "dataset.h5ad")
dataset = read_dataset(folder / "dataset.h5ad")

plan = SplitPlan(kind="largest_effect", held_out=2)
write_split(split_dataset(dataset, plan, seed=0), folder / "split.tsv.gz", dataset.obs["perturbation"])
split = read_split(folder / "split.tsv.gz", dataset.obs["perturbation"])

setting = Setting("default", options={"n_latent": 3})
write_fit(fit_linear("pca", dataset, split, setting), folder / "pca.h5ad")
write_fit(fit_random(dataset, split, setting), folder / "random.h5ad")

metrics = choose_metrics(["mcc_pearson", "mcc_spearman", "r2"], "walk")
parts: dict[str, list[pd.DataFrame]] = {}
for method in ("pca", "random"):
    run = {"dataset": "screen", "split": "largest", "replicate": 0, "method": method, "setting": setting.name}
    evaluation = evaluate_fit(read_fit(folder / f"{method}.h5ad", split), split, truth, metrics, seed=0)
    for name, table in evaluation._asdict().items():
        parts.setdefault(name, []).append(with_run(table, **run))
tables = {name: pd.concat(part, ignore_index=True) for name, part in parts.items()}

tables["selected"] = select(tables["status"], tables["metrics"])
methods = read_methods(ROOT / "config" / "methods.tsv", ["pca", "random"])
tables["leaderboard"] = leaderboard(tables["metrics"], tables["selected"], methods, reference="pca")
for name in set(COLUMNS) - set(tables):
    tables[name] = pd.DataFrame(columns=list(COLUMNS[name]))
shown = Tables(**tables, methods=methods, registry=metrics_table(), rule="fixed", reference="pca")
save(draw("latent_recovery", shown), folder / "latent_recovery")

print(*sorted(sys.modules), sep="\n")
