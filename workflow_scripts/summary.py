"""Write the first page of the report: what was run, what leads, what failed."""

from pathlib import Path

from svae.files import replacing
from svae.report.first_page import summary
from svae.report.tables import Tables
from svae.workflow.figures import question_of
from svae.workflow.logs import start

start(snakemake.log[0])
tables = Tables.read(snakemake.input, **snakemake.params.view)
parts = {Path(caption).stem: question_of(caption) for caption in snakemake.input.captions}
picture = Path(snakemake.input.picture).read_bytes()
page = summary(tables, snakemake.params.scope, snakemake.params.provenance, parts, picture)
with replacing(snakemake.output[0]) as path:
    path.write_text(page, encoding="utf-8")
