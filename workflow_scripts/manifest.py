"""Write down where the results come from, for programs and for readers."""

import json

from svae.contracts.tables import read_status
from svae.files import replacing
from svae.report.manifest_page import manifest_html
from svae.workflow.logs import start
from svae.workflow.manifest import manifest
from svae.workflow.scope import Scope

start(snakemake.log[0])
found = manifest(
    Scope.check(snakemake.params.config),
    snakemake.params.view,
    read_status(snakemake.input.status),
    snakemake.input.datasets,
    lock=snakemake.input.lock,
    root=snakemake.params.root,
)
with replacing(snakemake.output.manifest) as path:
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
with replacing(snakemake.output.page) as path:
    path.write_text(manifest_html(found), encoding="utf-8")
