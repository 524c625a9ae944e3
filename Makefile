# Two commands do everything: `make report` and `make test`. Both set up .venv first.

PYTHON ?= python3.11
SCOPE ?= demo
CORES ?= 2
ARGS ?=
# A container brings an environment of its own (envs/container.def).
BIN := $(or $(SVAE_ENVIRONMENT),.venv)/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) --configfile config/$(SCOPE).yaml $(ARGS)

# One thread per process: two are slower than one on models of this size.
export OMP_NUM_THREADS := 1
# UMAP runs on numba, which would otherwise set the threads of torch to the number of cores.
export NUMBA_NUM_THREADS := 1
export PYTHONUNBUFFERED := 1

.PHONY: help setup check data report retry preview bundle test test-fast draws lint format docs fidelity tuned \
  small-screens number-of-latents independence limits large-screen factor-package rows look-alike coverage differential big-plan bench \
  lock envs clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

ifdef SVAE_ENVIRONMENT
setup:
	@cmp --silent requirements.lock $(SVAE_ENVIRONMENT)/requirements.lock || { \
	  echo "error: the container was built from another requirements.lock than this one; build it again"; exit 1; }
else
setup: .venv/installed  ## the environment in .venv, from requirements.lock
endif

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

check: setup  ## say what is wrong with the config file of SCOPE, if anything is
	@$(BIN)/python -m svae.workflow.check config/$(SCOPE).yaml

data: setup  ## say what SCOPE has to download, then do it
	@$(BIN)/python -m svae.workflow.data config/$(SCOPE).yaml
	@$(SNAKEMAKE) --rerun-incomplete data

report: setup  ## run SCOPE (demo) and write reports/SCOPE.html, whatever failed
	@$(BIN)/python -m svae.workflow.check config/$(SCOPE).yaml
	@$(BIN)/python -m svae.workflow.retry --with-more-time config/$(SCOPE).yaml
	@status=0; $(SNAKEMAKE) --keep-going --rerun-incomplete || { status=$$?; \
	  lost=$$($(BIN)/python -m svae.workflow.settle config/$(SCOPE).yaml); \
	  [ -z "$$lost" ] || { echo "$$lost"; $(SNAKEMAKE) --keep-going --rerun-incomplete; }; }; \
	$(SNAKEMAKE) --report reports/$(SCOPE).html --report-stylesheet reports/report.css || { \
	  echo "no report: a job failed before there was anything to show; a line above begins with 'error:' and says why"; \
	  exit 1; }; \
	echo "report: reports/$(SCOPE).html"; exit $$status

retry: setup  ## fit again what did not end well in SCOPE, and write the report
	$(BIN)/python -m svae.workflow.retry config/$(SCOPE).yaml
	$(MAKE) report

preview: setup  ## report what there is of SCOPE so far; `make retry` makes the fits that are missing
	$(MAKE) report ARGS="$(ARGS) --config timeout_minutes=0.0001"

bundle: setup  ## write the report of SCOPE, and pack it with tables and provenance into reports/SCOPE.zip
	@status=0; $(MAKE) report || status=$$?; \
	$(SNAKEMAKE) reports/$(SCOPE).zip && exit $$status

# One process more than there are cores, because tests on SLURM wait more than they compute.
# A file's tests run in one process, so that what they share is made once; conftest.py says in which order.
BY_FILE := --dist loadfile --no-loadscope-reorder

test: setup lint  ## lint, then all tests
	$(BIN)/python -m pytest -n $$(($(CORES) + 1)) $(BY_FILE) --durations=20

test-fast: setup  ## the tests that neither run a workflow nor train for long
	$(BIN)/python -m pytest -n $(CORES) $(BY_FILE) -m "not workflow and not slow"

draws: setup  ## the property-based tests, with all the examples that are drawn before a release
	SVAE_ALL_DRAWS=1 $(BIN)/python -m pytest -n $(CORES) tests/faults -m "not workflow and not slow"

lint: setup  ## format, lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint --configfile config/demo.yaml

format: setup  ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: setup  ## write what is generated: the config schema and its page, tables and drawings in README and docs/
	$(BIN)/python -m svae.workflow.reference config/schemas/scope.schema.yaml docs/scope-reference.md
	$(BIN)/python -m docs.generate

fidelity: setup  ## does preset `original` behave like the released code? (about an hour)
	$(BIN)/python -W ignore benchmarks/fidelity.py reports/reference/fidelity.tsv

tuned: setup  ## what preset `tuned` gives on the same data (about 10 minutes)
	$(BIN)/python -W ignore benchmarks/fidelity.py reports/reference/tuned.tsv --preset tuned --penalty 50

small-screens: setup  ## does preset `tuned` overfit on few cells of SCREEN, an h5ad file? (about 20 minutes)
	$(BIN)/python -W ignore benchmarks/small_screens.py $(SCREEN) reports/reference/small_screens.tsv $(ARGS)

number-of-latents: setup  ## does the agreement of restarts find the number of latents? (half an hour)
	$(BIN)/python -W ignore benchmarks/number_of_latents.py reports/reference/number_of_latents.tsv

independence: setup  ## what it costs to keep latents independent of the batch (about 10 minutes)
	$(BIN)/python -W ignore benchmarks/independence.py reports/reference/independence.tsv

limits: setup  ## how well the true latents can be recovered at all (about 3 minutes)
	$(BIN)/python -W ignore benchmarks/limits.py reports/reference/limits.tsv

large-screen: setup  ## what preparing 200,000 cells takes (needs 9 GB of disk, or ARGS="--distinct 20000")
	$(BIN)/python -W ignore benchmarks/preparation.py reports/reference/preparation.tsv $(ARGS)

factor-package: setup  ## our perturbVI beside the package of its authors, installed apart (about a minute)
	$(BIN)/pip install --quiet --target resources/perturbvi perturbvi==0.3.2
	PYTHONPATH=resources/perturbvi $(BIN)/python -W ignore benchmarks/factor_package.py reports/reference/factor_package.tsv

rows: setup  ## what it costs to fetch cells out of a file of 66 GB, a generated one (about two minutes)
	$(BIN)/python -W ignore benchmarks/rows.py reports/reference/rows.tsv

look-alike: setup  ## the scope of Replogle et al. on a generated file, from its address to the report (more than an hour)
	PYTHONPATH=tests $(BIN)/python -W ignore benchmarks/replogle.py reports/reference/look_alike.tsv

coverage: setup  ## how often intervals over few replicates hold the truth (about a minute)
	$(BIN)/python -W ignore benchmarks/interval_coverage.py reports/reference/coverage.tsv

differential: setup  ## how many genes that are called moved are not, by several models (about 3 minutes)
	$(BIN)/python -W ignore benchmarks/differential.py reports/reference/differential.tsv

big-plan: setup  ## what a plan of ten thousand fits costs beside its fits (about a minute)
	$(BIN)/python -W ignore benchmarks/big_plan.py reports/reference/big_plan.tsv

bench: setup  ## what fleets, likelihoods and solvers of PCA cost, and how exact likelihoods are
	$(BIN)/python -W ignore benchmarks/speed.py reports/reference/benchmarks.tsv
	$(BIN)/python -W ignore benchmarks/likelihood.py reports/reference/likelihood.tsv
	$(BIN)/python -W ignore benchmarks/linear.py reports/reference/linear.tsv

lock: setup  ## pin all dependencies anew (needs uv), and write envs/ from them
	uv pip compile pyproject.toml --extra workflow --extra test --python-version 3.11 --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --quiet | sed 's/+cpu//' > requirements.lock
	$(MAKE) envs

envs: setup  ## write what is in envs/ from the lock
	$(BIN)/python envs/generate.py

clean:  ## remove the environment and all results; downloads in resources/ stay
	rm -rf .venv results .snakemake reports/*.html
