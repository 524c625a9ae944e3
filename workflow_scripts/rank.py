"""Sum up the replicates of every method, rank them, and compare them with the reference."""

from svae.contracts.tables import HELD_OUT_COLUMNS, METRICS_COLUMNS, SELECTED_COLUMNS, read_tidy
from svae.evaluation.leaderboard import leaderboard
from svae.files import write_table
from svae.report.methods_table import read_methods
from svae.workflow.logs import start

start(snakemake.log[0])
selected = read_tidy(snakemake.input.selected, SELECTED_COLUMNS)
table = leaderboard(
    read_tidy(snakemake.input.metrics, METRICS_COLUMNS),
    selected,
    read_methods(snakemake.input.methods, selected["method"]),
    reference=snakemake.params.reference,
    held_out=read_tidy(snakemake.input.held_out, HELD_OUT_COLUMNS),
)
write_table(table, snakemake.output[0])
