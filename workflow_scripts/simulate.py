"""Draw one replicate of a simulated dataset, and its truth."""

from svae.contracts.dataset import write_dataset
from svae.contracts.truth import write_truth
from svae.simulation import simulate
from svae.workflow.logs import start

start(snakemake.log[0])
parameters = snakemake.params.parameters
dataset, truth = simulate(snakemake.params.simulator, seed=snakemake.params.seed, **parameters)
write_truth(truth, snakemake.output.truth)
write_dataset(dataset, snakemake.output.dataset)
