"""Count the fits that there are of those that were planned, with the reason and the log of each loss."""

from svae.contracts.tables import read_status
from svae.files import write_table
from svae.report.completeness import completeness
from svae.workflow.logs import start

start(snakemake.log[0])
status = read_status(snakemake.input.status)
write_table(completeness(status, **snakemake.params.folders), snakemake.output[0])
