"""A scope: what a config file asks for, with its defaults, its jobs and its seeds.

Nothing here trains or reads data, or is slow to import: Snakemake reads the scope at every start.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from svae.contracts.job import Job
from svae.contracts.setting import Setting
from svae.datasets.split_plan import Fold, SplitPlan
from svae.options import Options, checked
from svae.seeds import seed_from
from svae.values import Count, Positive, Repetitions, Seed, Text, Texts
from svae.workflow.config_file import read_config
from svae.workflow.included import with_included
from svae.workflow.method_options import read_method, read_training
from svae.workflow.sections import (
    Dataset,
    Method,
    MethodName,
    Name,
    RealDataset,
    Selection,
    SimulatedDataset,
    VariedDataset,
)
from svae.workflow.split_up import split_up, with_all_of
from svae.workflow.vary import with_varied


def _name_of_the_scope(known: Mapping[str, Any]) -> str:
    return known.get("name", "")


def _first_method(known: Mapping[str, Any]) -> str:
    return next(iter(known.get("methods", ())), "")


class Scope(Options):
    """One run of the benchmark: every method on every split of every replicate of every dataset."""

    name: Annotated[Name, Field(alias="scope")]
    """Name of the scope; everything it makes is in `results/<scope>`."""
    include: Texts | None = None
    """Config files that this one is laid over, each over those before it. Mappings are merged, and any other
    value here takes the place of theirs. Their names and titles are not taken over."""
    title: Text = Field(default_factory=_name_of_the_scope)
    """One line for the report's first page; by default the name of the scope."""
    seed: Seed = 0
    """Seed from which all others follow by name."""
    replicates: Repetitions = 1
    """Repetitions: fresh draws of simulated data; fresh splits and model seeds on real data."""
    latents: Count = 15
    """Number of latents of every method, unless its options or grid name it."""
    datasets: dict[Name, Dataset] = Field(min_length=1)
    """Datasets by name."""
    splits: dict[Name, SplitPlan] = Field(min_length=1)
    """Splits by name."""
    methods: dict[MethodName, Method] = Field(min_length=1)
    """Methods by name: each is a rule file `rules/methods/<name>.smk` or a model class."""
    training: dict[str, Any] = Field(default={})
    """Options of every trained model: `preset`, any field of the training plan, and any argument that all
    model classes share, but for the number of latents."""
    likelihood_samples: Count = 250
    """Samples per cell of the likelihood, which are drawn around the posterior of the cell."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models are trained: `cuda` fails where there is no GPU, `auto` takes one if there is."""
    fleet_size: Count | None = None
    """Models trained at once at most; by default as many as memory allows."""
    keep_models: bool = True
    """Whether trained networks are kept beside their fits, to be asked more later."""
    timeout_minutes: Positive | None = None
    """A method's job is ended after so long, and the fits that it lacks are marked as timed out; when this is
    raised, `make report` makes them again. By default a little less than the scheduler allows."""
    reference: Text = Field(default_factory=_first_method)
    """Method that the others are tested against; by default the first one."""
    metrics: Texts | None = None
    """Metrics to compute; all of them by default."""
    selection: Selection = Selection()
    """How a setting is chosen per method."""

    @classmethod
    def check(cls, config: Mapping[str, Any], where: str = "config") -> "Scope":
        """Make a scope of a config; a :class:`~svae.errors.BenchmarkError` says what is wrong with it.

        Whether the names in it exist is checked by :func:`svae.workflow.names.check_names`.

        Parameters
        ----------
        config
            What the config file holds.
        where
            Name of the config file, for error messages.
        """
        scope = checked(cls, with_included(config, where), where)
        methods = {name: read_method(name, entry, where) for name, entry in scope.methods.items()}
        training = read_training(scope.training, where)
        splits = split_up(scope.splits, scope.seed, where)
        datasets = with_varied(with_all_of(splits, scope.datasets), where)
        found = {"methods": methods, "training": training, "datasets": datasets}
        every = {name: plan for plans in splits.values() for name, plan in plans.items()}
        return scope.model_copy(update=found | {"splits": every})

    @classmethod
    def read(cls, path: str | Path) -> "Scope":
        """Read the config file at `path`."""
        return cls.check(read_config(path), str(path))

    @property
    def simulated(self) -> dict[str, SimulatedDataset]:
        """Datasets that a simulator draws."""
        return {name: entry for name, entry in self.datasets.items() if isinstance(entry, SimulatedDataset)}

    @property
    def real(self) -> dict[str, RealDataset]:
        """Datasets that are prepared from a file."""
        return {name: entry for name, entry in self.datasets.items() if isinstance(entry, RealDataset)}

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs that fit."""
        return [
            Job(dataset, split, replicate, method)
            for dataset, entry in self.datasets.items()
            for split in entry.splits or self.splits
            for replicate in range(self.replicates)
            for method in entry.methods or self.methods
            if replicate < (self.methods[method].replicates or self.replicates)
        ]

    def in_tables(self, job: Job) -> Job:
        """Return what tables call a job: the folds of a split are one split there, and its replicates.

        Fold f of replicate r, the first of which is 0, is replicate r · folds + f.
        """
        plan = self.splits[job.split]
        if not isinstance(plan, Fold):
            return job
        return job._replace(split=plan.of, replicate=job.replicate * plan.folds + plan.fold - 1)

    def other_folds(self, split: str) -> list[str]:
        """Return the other folds of the entry that a split is a fold of; none of any other split."""
        plan = self.splits[split]
        if not isinstance(plan, Fold):
            return []
        return [
            name
            for name, other in self.splits.items()
            if isinstance(other, Fold) and other.of == plan.of and name != split
        ]

    def settings(self, method: str) -> list[Setting]:
        """Return the points of a method's grid times its restarts, in the order of the config."""
        restarts = self.methods[method].restarts
        return [
            Setting(name=f"{point}.r{restart}" if restarts > 1 else point, options=options, restart=restart)
            for point, options in self.methods[method].points().items()
            for restart in range(restarts)
        ]

    def values_of(self, method: str, option: str) -> list[Any]:
        """Return the different values of an option in all settings of a method; none if it is not in here."""
        settings = self.settings(method) if method in self.methods else []
        return list(dict.fromkeys(s.options[option] for s in settings if s.options.get(option) is not None))

    def settings_of(self, job: Job, shared: Mapping[str, Any] | None = None) -> list[Setting]:
        """Return the settings that a job fits, with their seeds and all their options.

        Parameters
        ----------
        job
            The method, and what it is fitted on.
        shared
            Options of every setting, beside the number of latents; those of the method come first.
        """
        common = {"n_latent": self.latents_fitted(job.dataset)} | dict(shared or {})
        return [
            replace(setting, seed=self.model_seed(job, setting), options=common | dict(setting.options))
            for setting in self.settings(job.method)
        ]

    def latents_fitted(self, dataset: str) -> int:
        """Return the number of latents of every method on a dataset, unless its options or grid name it."""
        entry = self.datasets[dataset]
        fitted = entry.n_latent if isinstance(entry, SimulatedDataset) else None
        return fitted or self.latents

    def _drawn_as(self, dataset: str) -> str:
        """Return the dataset whose seeds this one is drawn and split with: its baseline, if it has one.

        Both share all that is drawn but for what is varied, so that differences between them have less noise.
        """
        entry = self.datasets[dataset]
        return entry.baseline if isinstance(entry, VariedDataset) else dataset

    def data_seed(self, dataset: str, replicate: int) -> int:
        """Seed of a dataset's replicate."""
        entry = self.datasets[dataset]
        if isinstance(entry, SimulatedDataset) and entry.seeds:
            return entry.seeds[replicate]
        return seed_from(self.seed, self._drawn_as(dataset), replicate)

    def preparation_seed(self, dataset: str) -> int:
        """Seed of what is drawn when a real dataset is prepared; its replicates share their cells."""
        return seed_from(self.seed, dataset, "preparation")

    def split_seed(self, dataset: str, split: str, replicate: int) -> int:
        """Seed of a split."""
        return seed_from(self.seed, self._drawn_as(dataset), split, replicate)

    def model_seed(self, job: Job, setting: Setting) -> int:
        """Seed of a model's weights, noise and order of data."""
        return seed_from(self.seed, *job, setting.grid_point, setting.restart)
