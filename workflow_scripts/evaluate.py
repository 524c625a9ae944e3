"""Evaluate all settings of one method on one replicate."""

import pandas as pd

from svae.datasets.splits import read_split
from svae.evaluation import evaluate_fit
from svae.files import write_table
from svae.jobs import start
from svae.metrics import choose_metrics, read_metrics
from svae.simulation import read_truth
from svae.tables import with_run

start(snakemake.log[0])
registry = read_metrics(snakemake.input.registry)
metrics = choose_metrics(registry, snakemake.params.metrics or registry.index, "config: metrics")
split = read_split(snakemake.input.split)
truth = read_truth(snakemake.input.truth[0]) if snakemake.input.truth else None
run = dict(snakemake.params.run)
parts = []
for setting, path in zip(snakemake.params.settings, snakemake.input.fits, strict=True):
    print(f"evaluating {setting}")
    tables = evaluate_fit(path, split, truth, metrics, snakemake.params.seed)
    parts.append({name: with_run(table, **run, setting=setting) for name, table in tables._asdict().items()})
for name in parts[0]:
    write_table(pd.concat([part[name] for part in parts]), snakemake.output[name])
