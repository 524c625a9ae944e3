"""Download one study and verify its size and checksum."""

from svae.datasets.sources import download, source
from svae.jobs import start

start(snakemake.log[0])
download(source(snakemake.wildcards.source), snakemake.output[0])
