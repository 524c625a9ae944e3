"""Say which gene sets the latents move, of the settings that the main rule chose."""

from svae.contracts.pathways import read_pathways
from svae.contracts.tables import ENRICHMENT_COLUMNS, LATENT_GENES_COLUMNS, RUN_COLUMNS, read_tidy, stack
from svae.evaluation.enrichment import enrichment
from svae.files import write_table
from svae.workflow.logs import start

start(snakemake.log[0])
fit_columns = [*RUN_COLUMNS, "setting"]
gene_sets = {name: read_pathways(path) for name, path in snakemake.params.gene_sets.items()}
latent_genes = read_tidy(snakemake.input.latent_genes, LATENT_GENES_COLUMNS)
tables = []
for names, genes in latent_genes.groupby(fit_columns, sort=False):
    fit = dict(zip(fit_columns, names, strict=True))
    if fit["dataset"] in gene_sets:
        changes = genes.pivot(index="latent", columns="gene", values="log2_fold_change")
        found = enrichment(changes, gene_sets[fit["dataset"]], snakemake.params.seed)
        tables.append(found.assign(**fit))
write_table(stack(tables, ENRICHMENT_COLUMNS), snakemake.output[0])
