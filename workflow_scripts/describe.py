"""Tables of what the scope holds: its datasets, and the settings of its methods."""

from svae.config import Scope
from svae.describe import describe_datasets, describe_settings
from svae.files import write_table
from svae.jobs import start

start(snakemake.log[0])
scope = Scope(snakemake.params.config)
write_table(describe_datasets(scope, snakemake.input.datasets), snakemake.output.datasets)
write_table(describe_settings(scope), snakemake.output.settings)
