"""Summarise what the held-out cells of one replicate really do, for the evaluation of all methods."""

from svae.contracts.dataset import read_dataset
from svae.contracts.pathways import read_pathways
from svae.contracts.split import read_split
from svae.evaluation.response import summarise_responses, write_response
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
split = read_split(snakemake.input.split, dataset.obs["perturbation"])
gene_sets = read_pathways(snakemake.input.gene_sets[0]) if snakemake.input.gene_sets else None
write_response(summarise_responses(dataset, split, gene_sets), snakemake.output[0])
