"""Write the upper anchor: the truth itself, and the likelihood of the generator that drew the cells."""

from svae.contracts.truth import read_truth
from svae.methods.anchors import fit_oracle
from svae.workflow.fitting import fit_each
from svae.workflow.logs import start

start(snakemake.log[0])


def know(dataset, split, setting):
    """Runs in a child process."""
    truth = read_truth(snakemake.input.truth[0], dataset.obs_names) if snakemake.input.truth else None
    return fit_oracle(dataset, split, truth, setting, snakemake.params.likelihood_samples)


fit_each(snakemake, know)
