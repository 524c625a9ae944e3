"""Write the first page of the report: what was run, what won, what failed."""

import snakemake as snakemake_package

from svae.files import replacing
from svae.jobs import start
from svae.plots import Tables
from svae.summary import summary

start(snakemake.log[0])
tables = Tables.read(snakemake.input, snakemake.params)
