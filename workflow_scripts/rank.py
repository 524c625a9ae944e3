"""Sum up the replicates of every method, with intervals, ranks and tests."""

from svae.files import write_table
from svae.jobs import start
from svae.metrics import read_metrics
from svae.tables import METRICS_COLUMNS, SELECTED_COLUMNS, leaderboard, read_methods, read_tidy

start(snakemake.log[0])
selected = read_tidy(snakemake.input.selected, SELECTED_COLUMNS)
table = leaderboard(
    read_tidy(snakemake.input.metrics, METRICS_COLUMNS),
    selected,
    read_metrics(snakemake.input.registry),
    read_methods(snakemake.input.methods, selected["method"]),
    snakemake.params.reference,
    snakemake.params.seed,
)
write_table(table, snakemake.output[0])
