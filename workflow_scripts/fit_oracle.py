"""Write the upper anchor: the truth itself, and the likelihood of the generator that drew the cells."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.setting import Setting
from svae.contracts.split import read_split
from svae.contracts.truth import read_truth
from svae.methods.anchors import fit_oracle
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
settings = [Setting(**setting) for setting in snakemake.params.settings]
names = [setting.name for setting in settings]


def know():
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    truth = read_truth(snakemake.input.truth[0], dataset.obs_names) if snakemake.input.truth else None
    for setting, path in zip(settings, snakemake.output, strict=True):
        write(fit_oracle(dataset, split, truth, setting, snakemake.params.likelihood_samples), path)


guarded(know, snakemake.output, names, dataset.obs_names, snakemake.params.timeout_minutes)
