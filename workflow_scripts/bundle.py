"""Pack report, tables, figures and provenance into one file, as a paper's supplement."""

from pathlib import Path

import yaml

from svae.report.bundle import REPORT, is_newer, pack
from svae.workflow.logs import start

start(snakemake.log[0])
results = Path(snakemake.params.results)
files = {str(Path(file).relative_to(results)): file for file in snakemake.input.results}
files |= {Path(file).name: file for file in (snakemake.input.methods, snakemake.input.lock)}
for page in snakemake.input.page:  # one, or none
    if is_newer(page, snakemake.input.results):
        files[REPORT] = page
config = yaml.safe_dump(snakemake.params.config, sort_keys=False)
pack(files, {"config.yaml": config}, snakemake.output[0])
