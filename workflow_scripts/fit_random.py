"""Write the lower anchor: latents, targets and shifts by chance."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.setting import Setting
from svae.contracts.split import read_split
from svae.methods.anchors import fit_random
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
settings = [Setting(**setting) for setting in snakemake.params.settings]
names = [setting.name for setting in settings]


def draw():
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting, path in zip(settings, snakemake.output, strict=True):
        write(fit_random(dataset, split, setting), path)


guarded(draw, snakemake.output, names, dataset.obs_names, snakemake.params.timeout_minutes)
