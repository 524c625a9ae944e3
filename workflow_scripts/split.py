"""Choose the held-out perturbations of a dataset, and the part of each cell."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import write_split
from svae.datasets.split_plan import read_plan
from svae.datasets.splits import split_dataset
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
plan = read_plan(snakemake.params.plan)
where = f"{snakemake.input.dataset}: splits: {snakemake.wildcards.split}"
table = split_dataset(dataset, plan, snakemake.params.seed, where)
write_split(table, snakemake.output[0], dataset.obs["perturbation"])
