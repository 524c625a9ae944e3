"""Prepare a real screen: the cells and genes asked for, with one label per cell.

Replicates of a real dataset are the same cells, so they are one file under several names.
"""

import os
from pathlib import Path

from svae.contracts.dataset import write_dataset
from svae.datasets.prepare import prepare, read_gene_lists
from svae.workflow.logs import start

start(snakemake.log[0])
options = dict(snakemake.params.options)
if snakemake.input.gene_lists:
    del options["gene_lists"]
    options |= read_gene_lists(snakemake.input.gene_lists[0])
dataset = prepare(snakemake.input.file, name=snakemake.wildcards.dataset, **options)
first, *others = snakemake.output
write_dataset(dataset, first)
for other in others:
    Path(other).unlink(missing_ok=True)
    os.link(first, other)
