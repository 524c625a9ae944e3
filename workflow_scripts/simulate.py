"""Draw one replicate of a simulated dataset, and its truth."""

from svae.datasets import write_dataset
from svae.jobs import start
from svae.simulation import simulate, write_truth

start(snakemake.log[0])
dataset, truth = simulate(snakemake.params.preset, seed=snakemake.params.seed, **snakemake.params.parameters)
write_truth(truth, snakemake.output.truth)
write_dataset(dataset, snakemake.output.dataset)
