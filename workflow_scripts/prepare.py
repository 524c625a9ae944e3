"""Prepare a real screen: the cells and genes asked for, with one label per cell.

Replicates of a real dataset are the same cells, so they are one file under several names.
"""

import os
from pathlib import Path

from svae.contracts.dataset import write_dataset
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.workflow.logs import start

start(snakemake.log[0])
preparation = Preparation.model_validate(snakemake.params.preparation)
name, seed = snakemake.wildcards.dataset, snakemake.params.seed
first, *others = snakemake.output
write_dataset(prepare(snakemake.input.file, preparation, seed, name), first)
for other in others:
    Path(other).unlink(missing_ok=True)
    os.link(first, other)
