"""Place the cells of real datasets on a plane, by the latents of the reference method's first fit."""

from itertools import product

import pandas as pd

from svae.contracts.dataset import read_without_counts
from svae.contracts.split import read_split
from svae.contracts.tables import EMBEDDING_COLUMNS, RUN_COLUMNS, SELECTED_COLUMNS, read_tidy, stack
from svae.evaluation.embedding import embed
from svae.evaluation.evaluate import read_fit
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
jobs, settings = snakemake.params.jobs, snakemake.params.settings
paths = dict(zip(product(range(len(jobs)), settings), snakemake.input.fits, strict=True))
selected = read_tidy(snakemake.input.selected, SELECTED_COLUMNS)
chosen = selected[selected["rule"] == snakemake.params.rule].set_index(list(RUN_COLUMNS))["setting"]
tables = []
for place, job in enumerate(jobs):
    setting = chosen[tuple(job.values())]
    if pd.isna(setting):
        continue  # no fit of the method ended well
    dataset = read_without_counts(snakemake.input.datasets[place])
    split = read_split(snakemake.input.splits[place], dataset.obs["perturbation"])
    fit = read_fit(paths[place, setting], split)
    if fit.latents is not None:
        latents = pd.DataFrame(fit.latents, index=fit.cells)
        table = embed(latents, split, dataset.obs.get("batch"), snakemake.params.seed)
        tables.append(table.assign(**job, setting=setting))
write_table(stack(tables, EMBEDDING_COLUMNS), snakemake.output[0])
