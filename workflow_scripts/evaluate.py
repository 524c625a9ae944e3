"""Evaluate all settings of one method on one replicate, and how well its restarts agree."""

from collections import defaultdict

import pandas as pd

from svae.contracts.fit import Fit
from svae.contracts.split import read_split
from svae.contracts.tables import with_run
from svae.contracts.truth import read_truth
from svae.evaluation.evaluate import evaluate_fit, read_fit
from svae.evaluation.metrics import METRICS, choose_metrics
from svae.evaluation.restarts import agreement_of_restarts
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
metrics = choose_metrics(snakemake.params.metrics or METRICS, "config: metrics")
split = read_split(snakemake.input.split)
truth = read_truth(snakemake.input.truth[0]) if snakemake.input.truth else None
run = dict(snakemake.params.run)
restarts: dict[str, dict[str, Fit]] = defaultdict(dict)
parts: dict[str, list[pd.DataFrame]] = defaultdict(list)
for (setting, grid_point), path in zip(snakemake.params.settings.items(), snakemake.input.fits, strict=True):
    print(f"evaluating {setting}")
    fit = read_fit(path, split)
    restarts[grid_point][setting] = fit
    evaluation = evaluate_fit(fit, split, truth, metrics, snakemake.params.seed)
    for name, table in evaluation._asdict().items():
        parts[name].append(with_run(table, **run, setting=setting))
tables = {name: pd.concat(part) for name, part in parts.items()}
agreement = {k: v for fits in restarts.values() for k, v in agreement_of_restarts(fits, split).items()}
if agreement:
    tables["status"]["udr"] = tables["status"]["setting"].map(agreement)
for name, table in tables.items():
    write_table(table, snakemake.output[name])
