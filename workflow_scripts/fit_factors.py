"""Fit a linear factor model for each setting."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def explain(settings):
    """Runs in a child process."""
    from svae.methods.factors.fit import fit_factors

    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting in settings:
        yield fit_factors(snakemake.params.method, dataset, split, setting)


make_fits(snakemake, dataset.obs_names, explain)
