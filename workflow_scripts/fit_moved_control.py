"""Train a network that turns control cells into perturbed ones, for each setting."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def train(settings):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.discrepancy_vae import fit_discrepancy_vae
    from svae.methods.latent_additive import fit_latent_additive

    fits = {"discrepancy_vae": fit_discrepancy_vae, "latent_additive": fit_latent_additive}
    fix_arithmetic(snakemake.threads)
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting in settings:
        yield fits[snakemake.params.method](dataset, split, setting)


make_fits(snakemake, dataset.obs_names, train)
