# Everything that rules share: the scope, paths, and what a rule needs to know about its job.

import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from functools import cache
from itertools import filterfalse

import snakemake
from snakemake.exceptions import WorkflowError

import svae
from svae.contracts.job import Job
from svae.datasets.preparation import NOT_OF_CELLS
from svae.errors import BenchmarkError
from svae.methods.options import FILE_OPTIONS
from svae.models import FAMILY
from svae.workflow import layout
from svae.workflow.check import check_config
from svae.workflow.data import ROWS, needed_files, place_of
from svae.workflow.dependencies import package_files
from svae.workflow.figures import figures_of
from svae.workflow.included import with_included
from svae.workflow.layout import JOB
from svae.workflow.names import Repository
from svae.workflow.site import Site

try:
    scope = check_config(config, workflow.configfiles, workflow.basedir)
    CONFIG = with_included(config)
    site = Site.read(os.path.join(workflow.basedir, "slurm", "partitions.yaml"))
except BenchmarkError as error:
    # WorkflowError prints its message alone; anything else would come with a traceback.
    raise WorkflowError(str(error)) from None

SOURCES = Repository(workflow.basedir).sources
RESULTS = f"results/{scope.name}"
LOGS = f"{RESULTS}/logs"
DATASET = f"{RESULTS}/{layout.DATASET}"
TRUTH = f"{RESULTS}/truth/{{dataset}}/rep{{replicate}}.h5ad"
SPLIT = f"{RESULTS}/splits/{{dataset}}/{{split}}/rep{{replicate}}.tsv.gz"
RESPONSE = f"{RESULTS}/responses/{JOB}.h5ad"
FIT = f"{RESULTS}/{layout.FIT}"
METRICS = f"{RESULTS}/metrics/{JOB}/{{method}}"
SUMMARY = f"{RESULTS}/summary.rst"
COMPLETENESS = f"{RESULTS}/completeness.tsv"
MANIFEST = f"{RESULTS}/manifest.json"
VERDICT = f"{RESULTS}/complete.txt"
TABLES = {
    "metrics": f"{RESULTS}/metrics.tsv.gz",
    "held_out": f"{RESULTS}/held_out.tsv.gz",
    "selected": f"{RESULTS}/selected.tsv",
    "status": f"{RESULTS}/status.tsv",
    "leaderboard": f"{RESULTS}/leaderboard.tsv",
    "history": f"{RESULTS}/history.tsv.gz",
    "targets": f"{RESULTS}/targets.tsv.gz",
    "perturbations": f"{RESULTS}/perturbations.tsv.gz",
    "latent_genes": f"{RESULTS}/latent_genes.tsv.gz",
    "predictive": f"{RESULTS}/predictive.tsv.gz",
    "enrichment": f"{RESULTS}/enrichment.tsv.gz",
    "embedding": f"{RESULTS}/embedding.tsv.gz",
    "warnings": f"{RESULTS}/warnings.tsv",
    "settings": f"{RESULTS}/settings.tsv",
    "datasets": f"{RESULTS}/datasets.tsv",
    "pathways": f"{RESULTS}/pathways.tsv",
}
GENE_SETS = {
    name: entry.gene_sets for name, entry in scope.real.items() if entry.gene_sets
}
LEFT_OUT = f"{RESULTS}/left_out.tsv"
PERTURBATIONS = f"{RESULTS}/perturbations.html"
VIEW = {"rule": scope.selection.rule, "reference": scope.reference}
PROVENANCE = {
    "title": scope.title,
    "seed": scope.seed,
    "selection rule": scope.selection.rule,
    "svae": svae.__version__,
    "snakemake": snakemake.__version__,
}
FIGURES = figures_of(scope, f"{workflow.basedir}/reports/captions")
PARTS_TO_READ = [*FIGURES, *(["perturbations"] if scope.real else []), "leaderboard"]


def one_of(names):
    """Pattern of a wildcard that is one of `names`, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def here(path):
    """A file of this repository, relative to the working directory: a moved checkout reruns nothing."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


@cache
def with_imports(path):
    """A file of this repository, and the package files that it imports."""
    return [here(file) for file in [path, *package_files(f"{workflow.basedir}/{path}")]]


def code(script):
    """A script and the package files it runs, as inputs: editing them makes its jobs run again."""

    # Not before a job needs them: on a cluster, every job reads this file for itself alone.
    def files(wildcards):
        return with_imports(f"workflow_scripts/{script}.py")

    return files


def simulator_code(wildcards):
    """The simulator of a dataset, as inputs; no other simulator makes its jobs run again."""
    if wildcards.dataset not in scope.simulated:
        return []
    return with_imports(f"svae/simulation/simulators/{simulator_of(wildcards)}.py")


def in_order(value):
    """The same with the keys of all mappings sorted, since Snakemake compares how parameters are written."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value, key=str)}
    return [in_order(entry) for entry in value] if isinstance(value, list) else value


def is_model(method):
    """Whether a method is a model class, whose rule is in rules/models.smk."""
    return method in FAMILY


# --- what a method rule needs --------------------------------------------------------------------


def names_of(method):
    """Names of the settings of a method; none for a method outside of the scope."""
    if method not in scope.methods:
        return []
    return [setting.name for setting in scope.settings(method)]


def fits_of(method):
    """Output files of the job of a method, one per setting."""
    return expand(FIT, method=method, setting=names_of(method), allow_missing=True)


def files_named_by(method):
    """Files that an option of a method names, as inputs: when one changes, the method's jobs run again."""
    return scope.values_of(method, FILE_OPTIONS[method])


def log_of(method):
    """Log of the job of a method."""
    return f"{LOGS}/fits/{JOB}/{method}.log"


def benchmark_of(method):
    """Run time and memory of the job of a method."""
    return f"{RESULTS}/benchmarks/{JOB}/{method}.jsonl"


def settings_of(method, shared_options=None):
    """Return a function of the wildcards: the settings of a job, with all their options and their seeds."""

    def settings(wildcards):
        job = Job(wildcards.dataset, wildcards.split, int(wildcards.replicate), method)
        return in_order(
            [asdict(setting) for setting in scope.settings_of(job, shared_options)]
        )

    return settings


def plain_text(text):
    """A param as it is. The linter refuses a plain text that an input path begins with, such as `svae`."""

    def param(wildcards):
        return text

    return param


def as_json(settings):
    """What `settings_of` returns as one line of JSON, for commands of any language."""

    def line(wildcards):
        return json.dumps(settings(wildcards))

    return line


def guard_command():
    """Begin a shell command with the guard, which runs with the Python of Snakemake.

    The command behind it finds the programs beside that Python first, as in an activated environment, unless rules
    have environments of their own (``--software-deployment-method conda``).
    """
    program = os.path.join(workflow.basedir, "workflow_scripts", "guard.py")
    variables = [f"PYTHONPATH={shlex.quote(workflow.basedir)}"]
    if not workflow.deployment_settings.deployment_method:
        variables.append(f'PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"')
    return " ".join([*variables, shlex.quote(sys.executable), shlex.quote(program)])


# Begins a shell command; runs the command after `--`.
GUARD = guard_command()


# Snakemake compares no parameter that takes `resources`: changing these four runs nothing again.


def timeout_minutes(wildcards, resources):
    """A method may run so long: as the scope says, else a little less than the scheduler allows."""
    return scope.timeout_minutes or 0.95 * resources.runtime


def accelerator(wildcards, resources):
    """Where models are trained: `auto` looks for a GPU here, but on a cluster it is what the job asked for."""
    if scope.accelerator != "auto" or not workflow.remote_exec:
        return scope.accelerator
    return "cuda" if any(resources.get(name) for name in site.gpu) else "cpu"


def fleet_size(wildcards, resources):
    """So many models are trained at once at most; None for as many as memory allows."""
    return scope.fleet_size


def keep_models(wildcards, resources):
    """Whether trained models are kept beside their fits."""
    return scope.keep_models


def memory_mb(wildcards, attempt):
    """Memory of a job that holds all counts, or many fits: more for real screens, and at each attempt."""
    return (8000 if wildcards.dataset in scope.simulated else 32000) * attempt


# Resources of a job that trains: one GPU, as the cluster wants to be asked for it, or none.
GPU = site.gpu_request(scope.accelerator)


# --- what the other rules need --------------------------------------------------------------------


def truth_of(wildcards):
    """The truth of a dataset, for the oracle and evaluation; real data have none."""
    return [TRUTH] if wildcards.dataset in scope.simulated else []


def settings_to_evaluate(wildcards):
    """Settings of a job's method, in the order of its fits, and the grid point that each is a start of."""
    return {
        setting.name: setting.grid_point for setting in scope.settings(wildcards.method)
    }


def all_fits(wildcards):
    """All fits of the scope."""
    return [
        FIT.format(**job._asdict(), setting=setting)
        for job in scope.jobs
        for setting in names_of(job.method)
    ]


def fits_to_evaluate(wildcards):
    """All fits of one job."""
    return expand(FIT, setting=names_of(wildcards.method), **wildcards)


def seed_of_data(wildcards):
    """Seed of a simulated replicate."""
    return scope.data_seed(wildcards.dataset, int(wildcards.replicate))


def seed_of_preparation(wildcards):
    """Seed of the draw of cells of a real dataset."""
    return scope.preparation_seed(wildcards.dataset)


def seed_of_split(wildcards):
    """Seed of a split."""
    return scope.split_seed(
        wildcards.dataset, wildcards.split, int(wildcards.replicate)
    )


def simulator_of(wildcards):
    """Simulator of a simulated dataset."""
    return scope.simulated[wildcards.dataset].simulator


def simulation_parameters(wildcards):
    """Parameters of its simulator that a simulated dataset changes."""
    return in_order(scope.simulated[wildcards.dataset].parameters)


def file_to_prepare(wildcards):
    """A local file, or the one that a rule fetches."""
    return place_of(scope, wildcards.dataset, SOURCES)


def files_to_fetch(wildcards):
    """All files of the scope that a rule fetches."""
    return list(needed_files(scope, SOURCES))


def lists_of(wildcards):
    """Files that a preparation reads beside the screen: what to keep, and the targets of guides."""
    entry = scope.real[wildcards.dataset]
    return [path for path in (entry.gene_lists, entry.guide_table) if path]


def gene_sets_of(wildcards):
    """File of gene sets, where a dataset names one."""
    return [GENE_SETS[wildcards.dataset]] if wildcards.dataset in GENE_SETS else []


def preparation_of(wildcards):
    """What to keep of a real screen; the table of studies knows who published a download."""
    entry = scope.real[wildcards.dataset]
    preparation = entry.preparation.model_dump(exclude_defaults=True)
    if entry.path is not None:
        return in_order(preparation)
    published = SOURCES[entry.source]
    named = {name: getattr(published, name) for name in ("citation", "licence")}
    return in_order(named | preparation)


def source_of(wildcards):
    """Row of the table of studies that a dataset names."""
    return scope.real[wildcards.dataset].source


def choice_of_cells(wildcards):
    """What a preparation says of cells: another choice of genes fetches no cells again."""
    preparation = preparation_of(wildcards)
    return {name: preparation[name] for name in preparation if name not in NOT_OF_CELLS}


def pathways_of(wildcards):
    """File of pathways, where a split names one."""
    pathways = scope.splits[wildcards.split].pathways
    return [pathways] if pathways else []


def split_plan(wildcards):
    """What a split holds out, and how."""
    return in_order(scope.splits[wildcards.split].model_dump(exclude_defaults=True))


def responses_of_other_folds(wildcards):
    """What held-out cells do in the other folds of a split; calibrated scores rest on all of them."""
    return [
        RESPONSE.format(**{**wildcards, "split": split})
        for split in scope.other_folds(wildcards.split)
    ]


def run_of(wildcards):
    """Columns that name a job in the tables."""
    job = Job(
        wildcards.dataset, wildcards.split, int(wildcards.replicate), wildcards.method
    )
    return scope.in_tables(job)._asdict()


def evaluations(suffix):
    """Tables of all jobs, one kind of them."""
    return [f"{METRICS}{suffix}".format(**job._asdict()) for job in scope.jobs]


def title_of(figure):
    """Name of a figure as a reader sees it."""
    return figure.replace("_", " ").capitalize()


def all_datasets(wildcards):
    """All replicates of all datasets."""
    return expand(DATASET, dataset=scope.datasets, replicate=range(scope.replicates))


def written_report(wildcards):
    """The report, once there is one: no rule makes it, since Snakemake writes it after a run (`--report`)."""
    page = f"reports/{scope.name}.html"
    return [page] if os.path.exists(page) else []


def first_replicates():
    """One file per dataset, to describe it."""
    return [DATASET.format(dataset=dataset, replicate=0) for dataset in scope.datasets]


def first_jobs_of_reference():
    """The first job of the reference method on each real dataset."""
    jobs = {}
    for job in scope.jobs:
        if job.dataset in scope.real and job.method == scope.reference:
            jobs.setdefault(job.dataset, job)
    return list(jobs.values())
