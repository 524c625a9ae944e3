"""Draw one figure from the tables of the run, with the data it shows as a table beside it."""

from pathlib import Path

from svae.jobs import start
from svae.plots import FIGURES, Tables, save

start(snakemake.log[0])
figure = FIGURES[snakemake.wildcards.figure]
save(figure.draw(Tables.read(snakemake.input, snakemake.params)), Path(snakemake.output[0]).with_suffix(""))
