"""Put the tables of all jobs together."""

from svae.contracts.tables import (
    HELD_OUT_COLUMNS,
    HISTORY_COLUMNS,
    METRICS_COLUMNS,
    concatenate,
    concatenate_status,
)
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
write_table(concatenate(snakemake.input.metrics, METRICS_COLUMNS), snakemake.output.metrics)
write_table(concatenate_status(snakemake.input.status), snakemake.output.status)
write_table(concatenate(snakemake.input.history, HISTORY_COLUMNS), snakemake.output.history)
write_table(concatenate(snakemake.input.held_out, HELD_OUT_COLUMNS), snakemake.output.held_out)
