"""Train a model of scvi-tools for each setting."""

from svae.workflow.arithmetic import fix_arithmetic
from svae.workflow.fitting import fit_each, model_folders
from svae.workflow.logs import start

start(snakemake.log[0])


def train(dataset, split, setting):
    """Runs in a child process, which alone pays for importing torch."""
    from svae.methods.scvi_tools.fit import fit_scvi_tools

    fix_arithmetic(snakemake.threads)
    params = snakemake.params
    return fit_scvi_tools(
        params.method,
        dataset,
        split,
        setting,
        likelihood_samples=params.likelihood_samples,
        accelerator=params.accelerator,
        model_folder=model_folders(snakemake).get(setting.name),
    )


fit_each(snakemake, train)
