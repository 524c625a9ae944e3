# The benchmark of sparse mechanism shift models; README.md says how to run it, docs/ how it is built.

from snakemake.utils import min_version

min_version("9.12")


# Snakemake merges config files, so the demo is loaded only if no other file is named.
if not workflow.configfiles:

    configfile: "config/demo.yaml"


include: "rules/common.smk"


report: SUMMARY


# Snakemake (9.27) limits how many jobs start per second. For that it looks at all waiting jobs again for every job that
# has ended. With thousands of jobs this keeps a core busy, so the limit is switched off.
onstart:
    workflow.scheduler.job_rate_limiter = None


# These run beside Snakemake itself: downloads need the network of this machine, and the others take seconds.
localrules:
    download,
    fetch_rows,
    data,
    describe,
    collect,
    completeness,
    select_settings,
    warn,
    rank,
    summary,
    leaderboard,
    perturbations,
    manifest,
    bundle,
    verdict,


wildcard_constraints:
    dataset="[A-Za-z0-9_=.+-]+",  # those that a scope varies are named like settings
    split="[A-Za-z0-9_-]+",
    replicate="[0-9]+",
    method="[A-Za-z0-9_]+",


include: "rules/data.smk"
include: "rules/simulate.smk"
include: "rules/models.smk"
include: "rules/methods/_autoencoder.smk"
include: "rules/methods/_factors.smk"
include: "rules/methods/_linear.smk"
include: "rules/methods/_moved_control.smk"
include: "rules/methods/_predictor.smk"
include: "rules/methods/_scvi_tools.smk"


for method in filterfalse(is_model, scope.methods):

    include: f"rules/methods/{method}.smk"


include: "rules/evaluate.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        VERDICT,
        all_fits,  # without them, a fit that was removed would not be made again
