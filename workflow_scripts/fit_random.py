"""Write the lower anchor: latents, targets and shifts by chance."""

from svae.methods.anchors import fit_random
from svae.workflow.fitting import fit_each
from svae.workflow.logs import start

start(snakemake.log[0])
fit_each(snakemake, fit_random)
