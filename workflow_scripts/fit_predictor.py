"""Predict profiles by a rule that trains no model, for each setting."""

from functools import partial

from svae.methods.additive import fit_additive
from svae.methods.controls import fit_control
from svae.methods.linear_embeddings import fit_linear_embeddings
from svae.methods.nearest_perturbations import fit_nearest
from svae.methods.options import CONTROLS
from svae.workflow.fitting import fit_each
from svae.workflow.logs import start

FITS = {
    "additive": fit_additive,
    "linear_embeddings": fit_linear_embeddings,
    "nearest_perturbations": fit_nearest,
}
FITS |= {control: partial(fit_control, control) for control in CONTROLS}

start(snakemake.log[0])
fit_each(snakemake, FITS[snakemake.params.method])
