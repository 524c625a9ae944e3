"""Choose a setting per method by every rule, and keep the targets of those that the main rule chose."""

from svae.contracts.tables import METRICS_COLUMNS, TARGETS_COLUMNS, concatenate, read_status, read_tidy
from svae.evaluation.selection import select
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
selected = select(
    read_status(snakemake.input.status),
    read_tidy(snakemake.input.metrics, METRICS_COLUMNS),
    fixed=snakemake.params.fixed,
    hindsight_metric=snakemake.params.hindsight_metric,
)
write_table(selected, snakemake.output.selected)

chosen = selected[selected["rule"] == snakemake.params.rule].drop(columns=["rule", "outcome"])
targets = concatenate(snakemake.input.targets, TARGETS_COLUMNS)
write_table(targets.merge(chosen)[list(TARGETS_COLUMNS)], snakemake.output.targets)
