"""Evaluate all settings of one method on one replicate, and how well its restarts agree."""

from dataclasses import replace

from svae.contracts.split import read_split
from svae.contracts.tables import with_run
from svae.contracts.truth import read_truth
from svae.evaluation.evaluate import evaluate_fits, read_fit
from svae.evaluation.metrics import METRICS, choose_metrics
from svae.evaluation.response import read_response
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
split = read_split(snakemake.input.split)
other_folds = tuple(read_response(path) for path in snakemake.input.other_folds)
response = replace(read_response(snakemake.input.response), other_folds=other_folds)
grid_points = dict(snakemake.params.settings)
evaluation = evaluate_fits(
    fits={
        name: read_fit(path, split, response.genes)
        for name, path in zip(grid_points, snakemake.input.fits, strict=True)
    },
    grid_points=grid_points,
    split=split,
    truth=read_truth(snakemake.input.truth[0]) if snakemake.input.truth else None,
    metrics=choose_metrics(snakemake.params.metrics or METRICS, "config: metrics"),
    seed=snakemake.params.seed,
    response=response,
)
evaluation.status["fit"] = snakemake.input.fits
for name, table in evaluation._asdict().items():
    write_table(with_run(table, **snakemake.params.run), snakemake.output[name])
