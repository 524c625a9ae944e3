"""Write the leaderboard as a page of its own."""

from svae.files import replacing
from svae.report.leaderboard_page import leaderboard_html
from svae.report.tables import Tables
from svae.workflow.logs import start

start(snakemake.log[0])
tables = Tables.read(snakemake.input, **snakemake.params.view).without_varied()
with replacing(snakemake.output[0]) as path:
    path.write_text(leaderboard_html(tables), encoding="utf-8")
