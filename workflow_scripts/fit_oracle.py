"""Write the upper anchor: the truth itself, and the likelihood of the generator that drew the cells."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.contracts.truth import read_truth
from svae.methods.anchors import fit_oracle
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def know(settings):
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    truth = read_truth(snakemake.input.truth[0], dataset.obs_names) if snakemake.input.truth else None
    for setting in settings:
        yield fit_oracle(dataset, split, truth, setting, snakemake.params.likelihood_samples)


make_fits(snakemake, dataset.obs_names, know)
