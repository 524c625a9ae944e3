"""Train an autoencoder for each setting."""

from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import fit_each, model_folders
from svae.workflow.logs import start

start(snakemake.log[0])


def train(dataset, split, setting):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.autoencoders.fit import fit_autoencoder

    fix_arithmetic(snakemake.threads)
    return fit_autoencoder(
        snakemake.params.method,
        dataset,
        split,
        setting,
        snakemake.params.accelerator,
        model_folder=model_folders(snakemake).get(setting.name),
    )


fit_each(snakemake, train)
