"""Train all settings of one model class at once."""

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import write
from svae.contracts.split import read_split
from svae.workflow.guard import guarded
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
settings = [point["name"] for point in snakemake.params.settings]


def train():
    """Runs in a child process, which alone pays for importing torch."""
    import torch

    import svae
    from svae.methods.grid import Setting, fit_grid

    torch.set_num_threads(snakemake.threads)
    fits = fit_grid(
        getattr(svae, snakemake.params.model),
        dataset,
        read_split(snakemake.input.split, dataset.obs["perturbation"]),
        [Setting(**point) for point in snakemake.params.settings],
        likelihood_samples=snakemake.params.likelihood_samples,
        accelerator=snakemake.params.accelerator,
        fleet_size=snakemake.params.fleet_size,
    )
    for setting, path in zip(settings, snakemake.output, strict=True):
        write(fits[setting], path)


guarded(train, snakemake.output, settings, dataset.obs_names, snakemake.params.timeout_minutes)
