"""Tables of what the scope holds: its datasets, their pathways, and the settings of its methods."""

from svae.files import write_table
from svae.workflow.describe import describe_datasets, describe_left_out, describe_pathways, describe_settings
from svae.workflow.logs import start
from svae.workflow.scope import Scope

start(snakemake.log[0])
scope = Scope.check(snakemake.params.config)
write_table(describe_datasets(scope, snakemake.input.datasets), snakemake.output.datasets)
write_table(describe_settings(scope), snakemake.output.settings)
write_table(describe_pathways(scope, snakemake.input.datasets), snakemake.output.pathways)
if scope.real:
    write_table(describe_left_out(scope, snakemake.input.datasets), snakemake.output.left_out)
