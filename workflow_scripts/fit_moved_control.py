"""Train a network that turns control cells into perturbed ones, for each setting."""

from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import fit_each, model_folders
from svae.workflow.logs import start

start(snakemake.log[0])


def train(dataset, split, setting):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.discrepancy_vae import fit_discrepancy_vae
    from svae.methods.latent_additive import fit_latent_additive

    fix_arithmetic(snakemake.threads)
    fits = {"discrepancy_vae": fit_discrepancy_vae, "latent_additive": fit_latent_additive}
    folder = model_folders(snakemake).get(setting.name)
    return fits[snakemake.params.method](dataset, split, setting, model_folder=folder)


fit_each(snakemake, train)
