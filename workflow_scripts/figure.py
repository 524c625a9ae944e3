"""Draw one figure from the tables of the run, with the data it shows as a table beside it."""

from pathlib import Path

from svae.report.figures import draw, save
from svae.report.tables import Tables
from svae.workflow.logs import start

start(snakemake.log[0])
tables = Tables.read(snakemake.input, **snakemake.params.view)
save(draw(snakemake.params.figure, tables), Path(snakemake.output[0]).with_suffix(""))
