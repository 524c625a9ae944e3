"""Train all settings of one model class at once."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.setting import Setting
from svae.contracts.split import read_split
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
settings = [Setting(**setting) for setting in snakemake.params.settings]


def train():
    """Runs in a child process, which alone pays for importing torch."""
    import torch

    from svae.methods.grid import fit_grid
    from svae.models import model_class

    torch.set_num_threads(snakemake.threads)
    fits = fit_grid(
        model_class(snakemake.params.method),
        dataset,
        read_split(snakemake.input.split, dataset.obs["perturbation"]),
        settings,
        likelihood_samples=snakemake.params.likelihood_samples,
        accelerator=snakemake.params.accelerator,
        fleet_size=snakemake.params.fleet_size,
    )
    for setting, path in zip(settings, snakemake.output, strict=True):
        write(fits[setting.name], path)


names = [setting.name for setting in settings]
guarded(train, snakemake.output, names, dataset.obs_names, snakemake.params.timeout_minutes)
