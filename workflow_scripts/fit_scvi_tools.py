"""Train a model of scvi-tools for each setting."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def train(settings):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.scvi_tools.fit import fit_scvi_tools

    fix_arithmetic(snakemake.threads)
    params = snakemake.params
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting in settings:
        yield fit_scvi_tools(
            params.method, dataset, split, setting, params.likelihood_samples, params.accelerator
        )


make_fits(snakemake, dataset.obs_names, train)
