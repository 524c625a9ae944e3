"""Write the lower anchor: latents, targets and shifts by chance."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.methods.anchors import fit_random
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def draw(settings):
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting in settings:
        yield fit_random(dataset, split, setting)


make_fits(snakemake, dataset.obs_names, draw)
