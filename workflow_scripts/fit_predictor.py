"""Predict profiles by a rule that trains no model, for each setting."""

from functools import partial

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.methods.additive import fit_additive
from svae.methods.controls import fit_control
from svae.methods.linear_embeddings import fit_linear_embeddings
from svae.methods.nearest_perturbations import fit_nearest
from svae.methods.options import CONTROLS
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

FITS = {
    "additive": fit_additive,
    "linear_embeddings": fit_linear_embeddings,
    "nearest_perturbations": fit_nearest,
}
FITS |= {control: partial(fit_control, control) for control in CONTROLS}

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)


def predict(settings):
    """Runs in a child process."""
    split = read_split(snakemake.input.split, dataset.obs["perturbation"])
    for setting in settings:
        yield FITS[snakemake.params.method](dataset, split, setting)


make_fits(snakemake, dataset.obs_names, predict)
