"""Fit a linear baseline for each setting."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.split import read_split
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
settings = [point["name"] for point in snakemake.params.settings]


def decompose():
    """Runs in a child process."""
    from svae.methods.linear import fit_linear

    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for point, path in zip(snakemake.params.settings, snakemake.output, strict=True):
        options = dict(point["options"])
        n_latent = options.pop("n_latent")
        fit = fit_linear(
            snakemake.params.method, dataset, split, n_latent, point["name"], point["seed"], options
        )
        write(fit, path)


guarded(decompose, snakemake.output, settings, dataset.obs_names, snakemake.params.timeout_minutes)
