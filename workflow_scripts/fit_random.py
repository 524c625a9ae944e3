"""Write the lower anchor: latents, targets and shifts by chance."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.split import read_split
from svae.methods.anchors import fit_random
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
[job] = snakemake.params.settings


def draw():
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    fit = fit_random(dataset, split, job["options"]["n_latent"], job["name"], job["seed"])
    write(fit, snakemake.output[0])


guarded(draw, snakemake.output, [job["name"]], dataset.obs_names, snakemake.params.timeout_minutes)
