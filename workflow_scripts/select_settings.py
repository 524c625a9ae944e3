"""Choose a setting per method by every rule, and keep what was found out about those of the main rule."""

from svae.contracts.tables import (
    LATENT_GENES_COLUMNS,
    METRICS_COLUMNS,
    PERTURBATIONS_COLUMNS,
    PREDICTIVE_COLUMNS,
    TARGETS_COLUMNS,
    read_status,
    read_tidy,
    stack,
)
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
kept = {
    "targets": TARGETS_COLUMNS,
    "perturbations": PERTURBATIONS_COLUMNS,
    "latent_genes": LATENT_GENES_COLUMNS,
    "predictive": PREDICTIVE_COLUMNS,
}
for name, columns in kept.items():
    # One by one: the genes of the latents of all fits would not fit into memory.
    tables = (read_tidy(path, columns).merge(chosen) for path in snakemake.input[name])
    write_table(stack(tables, columns), snakemake.output[name])
