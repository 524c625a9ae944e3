"""Write what is known of each perturbation of real data as a page of its own."""

from svae.files import replacing
from svae.report.perturbations_page import perturbations_html
from svae.report.tables import Tables
from svae.workflow.logs import start

start(snakemake.log[0])
tables = Tables.read(snakemake.input, **snakemake.params.view)
with replacing(snakemake.output[0]) as path:
    path.write_text(perturbations_html(tables), encoding="utf-8")
