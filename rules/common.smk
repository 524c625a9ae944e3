# Everything that rules share: the scope, paths, and what a rule needs to know about its job.

import json
import os
import re
import sys

import snakemake
from snakemake.exceptions import WorkflowError

import svae
from svae.workflow.scope import Job, Scope
from svae.workflow.dependencies import package_files
from svae.errors import BenchmarkError

try:
    scope = Scope(config, ", ".join(map(str, workflow.configfiles)))
except BenchmarkError as error:
    # WorkflowError prints its message alone; anything else would come with a traceback.
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{scope.name}"
LOGS = f"{RESULTS}/logs"
DATASET = f"{RESULTS}/data/{{dataset}}/rep{{replicate}}.h5ad"
TRUTH = f"{RESULTS}/truth/{{dataset}}/rep{{replicate}}.h5ad"
SPLIT = f"{RESULTS}/splits/{{dataset}}/{{split}}/rep{{replicate}}.tsv.gz"
JOB = "{dataset}/{split}/rep{replicate}"
FIT = f"{RESULTS}/fits/{JOB}/{{method}}/{{setting}}.h5ad"
METRICS = f"{RESULTS}/metrics/{JOB}/{{method}}"
SUMMARY = f"{RESULTS}/summary.rst"
VERDICT = f"{RESULTS}/complete.txt"
TABLES = {
    "metrics": f"{RESULTS}/metrics.tsv.gz",
    "selected": f"{RESULTS}/selected.tsv",
    "status": f"{RESULTS}/status.tsv",
    "leaderboard": f"{RESULTS}/leaderboard.tsv",
    "history": f"{RESULTS}/history.tsv.gz",
    "targets": f"{RESULTS}/targets.tsv.gz",
    "settings": f"{RESULTS}/settings.tsv",
    "datasets": f"{RESULTS}/datasets.tsv",
}
VIEW = {"rule": scope.rule, "reference": scope.reference}
PROVENANCE = {
    "title": scope.config.get("title", scope.name),
    "seed": scope.seed,
    "selection rule": scope.rule,
    "svae": svae.__version__,
    "snakemake": snakemake.__version__,
}
FIGURES = sorted(
    set(glob_wildcards(f"{workflow.basedir}/reports/captions/{{figure}}.rst").figure)
    - {"leaderboard", "status"}
)


def one_of(names):
    """Pattern of a wildcard that is one of `names`, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def here(path):
    """A file of this repository, relative to the working directory: a moved checkout reruns nothing."""
    return os.path.relpath(f"{workflow.basedir}/{path}")


def code(script):
    """A script and the package files it runs, as inputs: editing them makes its jobs run again."""
    path = f"workflow_scripts/{script}.py"
    return [here(file) for file in [path, *package_files(f"{workflow.basedir}/{path}")]]


# --- what a method rule needs --------------------------------------------------------------------


def settings_of(method):
    """Settings of a method: name, options, restart; empty for a method outside of the scope."""
    return scope.settings(method) if method in scope.methods else []


def names_of(method):
    """Names of the settings of a method."""
    return [point.name for point in settings_of(method)]


def fits_of(method):
    """Fits that the job of a method owes, one per setting."""
    return expand(FIT, method=method, setting=names_of(method), allow_missing=True)


def log_of(method):
    """Log of the job of a method."""
    return f"{LOGS}/fits/{JOB}/{method}.log"


def benchmark_of(method):
    """Run time and memory of the job of a method."""
    return f"{RESULTS}/benchmarks/{JOB}/{method}.jsonl"


def jobs_of(method, options=None):
    """Return a function of the wildcards: settings with their seeds, and the options that they share."""

    def jobs(wildcards):
        job = Job(wildcards.dataset, wildcards.split, int(wildcards.replicate), method)
        return [
            {
                "name": point.name,
                "seed": scope.model_seed(job, point),
                "options": (options or {"n_latent": scope.latents}) | point.options,
                "restart": point.restart,
            }
            for point in settings_of(method)
        ]

    return jobs


def as_json(jobs):
    """What `jobs_of` returns as one line of JSON, for commands of any language."""

    def line(wildcards):
        return json.dumps(jobs(wildcards))

    return line


# Begins a shell command; runs with the Python of Snakemake, whatever the command behind it runs with.
GUARD = f"PYTHONPATH={workflow.basedir} {sys.executable} {workflow.basedir}/workflow_scripts/guard.py"


def timeout_minutes(wildcards, resources):
    """A method may run so long: as the scope says, else a little less than the scheduler allows."""
    return scope.config.get("timeout_minutes", 0.95 * resources.runtime)


def memory_mb(wildcards, attempt):
    """Memory of a training job, in which counts are dense: more for real screens, and at each attempt."""
    return (8000 if wildcards.dataset in scope.simulated else 32000) * attempt


def gpus(wildcards):
    """One GPU for a job that trains, unless the scope says it needs none."""
    return 0 if scope.accelerator == "cpu" else 1


# --- what the other rules need --------------------------------------------------------------------


def truth_of(wildcards):
    """The truth of a dataset, for the oracle and evaluation; real data have none."""
    return [TRUTH] if wildcards.dataset in scope.simulated else []


def settings_to_evaluate(wildcards):
    """Settings of a job's method, in the order of its fits, and the grid point that each is a start of."""
    return {
        point.name: point.without_restart for point in settings_of(wildcards.method)
    }


def fits_to_evaluate(wildcards):
    """All fits of one job."""
    return expand(FIT, setting=names_of(wildcards.method), **wildcards)


def seed_of_data(wildcards):
    """Seed of a simulated replicate."""
    return scope.data_seed(wildcards.dataset, int(wildcards.replicate))


def seed_of_split(wildcards):
    """Seed of a split."""
    return scope.split_seed(
        wildcards.dataset, wildcards.split, int(wildcards.replicate)
    )


def simulator_of(wildcards):
    """Preset of a simulated dataset."""
    return scope.dataset(wildcards.dataset)["simulator"]


def simulation_parameters(wildcards):
    """What a simulated dataset changes in its preset."""
    return scope.dataset(wildcards.dataset).get("parameters", {})


def file_to_prepare(wildcards):
    """A local file, or the one that a download rule fetches."""
    entry = scope.dataset(wildcards.dataset)
    return entry.get("path") or f"resources/{entry['source']}.h5ad"


def gene_lists_of(wildcards):
    """File of perturbations and genes to keep, where a dataset names one."""
    entry = scope.dataset(wildcards.dataset)
    return [entry["gene_lists"]] if "gene_lists" in entry else []


def preparation_of(wildcards):
    """What to keep of a real screen."""
    return scope.preparation(wildcards.dataset)


def pathways_of(wildcards):
    """File of pathways, where a split names one."""
    entry = scope.split(wildcards.split)
    return [entry["pathways"]] if "pathways" in entry else []


def split_options(wildcards):
    """What a split holds out, and how."""
    return {
        key: value
        for key, value in scope.split(wildcards.split).items()
        if key != "pathways"
    }


def run_of(wildcards):
    """Columns that name a job in the tables."""
    names = ("dataset", "split", "replicate", "method")
    return {name: getattr(wildcards, name) for name in names}


def evaluations(suffix):
    """Tables of all jobs, one kind of them."""
    return [f"{METRICS}{suffix}".format(**job._asdict()) for job in scope.jobs]


def title_of(figure):
    """Name of a figure as a reader sees it."""
    return figure.replace("_", " ").capitalize()


def first_replicates():
    """One file per dataset, to describe it."""
    return [
        DATASET.format(dataset=dataset, replicate=0)
        for dataset in scope.config["datasets"]
    ]
