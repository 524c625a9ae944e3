"""Fit a linear factor model for each setting."""

from svae.workflow.fitting import fit_each
from svae.workflow.logs import start

start(snakemake.log[0])


def explain(dataset, split, setting):
    """Runs in a child process."""
    from svae.methods.factors.fit import fit_factors

    return fit_factors(snakemake.params.method, dataset, split, setting)


fit_each(snakemake, explain)
