"""Download one study and verify its size and checksum."""

from svae.datasets.download import download
from svae.datasets.sources import source
from svae.workflow.logs import start

start(snakemake.log[0])
download(source(snakemake.wildcards.source, snakemake.input.table), snakemake.output[0])
