"""Fetch the cells that a dataset keeps out of a study that is too large to be downloaded as a whole."""

from svae.datasets.preparation import Preparation
from svae.datasets.rows import fetch_rows
from svae.datasets.sources import read_sources
from svae.workflow.logs import start

start(snakemake.log[0])
sources = read_sources(snakemake.input.table)
source = sources[snakemake.params.source]
preparation = Preparation.model_validate(snakemake.params.preparation)
fetch_rows(source, preparation, snakemake.output[0], sources.get(source.instead))
