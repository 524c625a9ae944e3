"""Put the tables of all jobs together."""

from svae.files import write_table
from svae.jobs import start
from svae.tables import HISTORY_COLUMNS, METRICS_COLUMNS, concatenate, concatenate_status

start(snakemake.log[0])
write_table(concatenate(snakemake.input.metrics, METRICS_COLUMNS), snakemake.output.metrics)
write_table(concatenate_status(snakemake.input.status), snakemake.output.status)
write_table(concatenate(snakemake.input.history, HISTORY_COLUMNS), snakemake.output.history)
