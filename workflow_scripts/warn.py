"""Count what is doubtful about the settings that the main rule chose."""

from svae.contracts.tables import METRICS_COLUMNS, SELECTED_COLUMNS, SETTINGS_COLUMNS, read_status, read_tidy
from svae.evaluation.warning import warnings_of_run
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
table = warnings_of_run(
    read_status(snakemake.input.status),
    read_tidy(snakemake.input.selected, SELECTED_COLUMNS),
    read_tidy(snakemake.input.settings, SETTINGS_COLUMNS),
    rule=snakemake.params.rule,
    metrics=read_tidy(snakemake.input.metrics, METRICS_COLUMNS),
)
write_table(table, snakemake.output[0])
