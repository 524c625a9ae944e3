"""Fit a linear baseline for each setting."""

from svae.workflow.fitting import fit_each
from svae.workflow.logs import start

start(snakemake.log[0])


def decompose(dataset, split, setting):
    """Runs in a child process."""
    from svae.methods.linear import fit_linear

    return fit_linear(snakemake.params.method, dataset, split, setting)


fit_each(snakemake, decompose)
