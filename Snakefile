# The benchmark of sparse mechanism shift models; README.md says how to run it, docs/ how it is built.

from snakemake.utils import min_version

min_version("9.12")


# Only where --configfile names no other, whose values would be laid over those of the default.
if not workflow.configfiles:

    configfile: "config/demo.yaml"


include: "rules/common.smk"


report: SUMMARY


# Snakemake (9.27) limits how many jobs start per second, and for that each job that has run makes it look at all waiting
# jobs once more in every second to come. In a scope of thousands of jobs, that alone keeps a core busy.
onstart:
    workflow.scheduler.job_rate_limiter = None


# Done in seconds, so a cluster is not asked.
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
