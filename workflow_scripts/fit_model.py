"""Train the settings of one model class, all at once."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import make_fits, model_folders
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def train(settings):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.grid import fit_grid
    from svae.models import model_class

    fix_arithmetic(snakemake.threads)
    fits = fit_grid(
        model_class(snakemake.params.method),
        dataset,
        read_split(snakemake.input.split, dataset.obs["perturbation"]),
        settings,
        likelihood_samples=snakemake.params.likelihood_samples,
        accelerator=snakemake.params.accelerator,
        fleet_size=snakemake.params.fleet_size,
        model_folders=model_folders(snakemake),
    )
    return fits.values()


make_fits(snakemake, dataset.obs_names, train)
