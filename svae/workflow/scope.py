"""A scope: what a config file asks for, checked, with its defaults and its seeds.

Nothing here trains or reads data; the workflow asks a :class:`Scope` what there is to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator, ValidationError

from svae.errors import BenchmarkError, unknown
from svae.seeds import seed_from
from svae.simulation.presets import PRESETS

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "config" / "schemas" / "scope.schema.yaml"
METRICS = ROOT / "config" / "metrics.tsv"
SOURCES = ROOT / "config" / "datasets.tsv"
METHOD_RULES = ROOT / "rules" / "methods"
ORIGINS = ("simulator", "source", "path")
PREPARATION = (
    *("label", "control", "separator", "batch", "layer", "filters", "perturbations", "gene_column"),
    *("genes", "top_genes", "min_cells", "max_cells", "citation", "licence"),
)
"""Keys of a dataset that are arguments of :func:`svae.datasets.prepare.prepare`."""


class Job(NamedTuple):
    """One job that fits: a method on one replicate of one split of one dataset."""

    dataset: str
    split: str
    replicate: int
    method: str


class Point(NamedTuple):
    """One setting of a method: a point of its grid, and which restart of it."""

    name: str
    options: dict[str, Any]
    restart: int

    @property
    def without_restart(self) -> str:
        """Name that it shares with its restarts."""
        return self.name.removesuffix(f".r{self.restart}")


@dataclass(frozen=True)
class Scope:
    """A validated config.

    Attributes
    ----------
    config
        The config as read, after validation by config/schemas/scope.schema.yaml.
    where
        Name of the config file, for error messages.
    """

    config: Mapping[str, Any]
    where: str = "config"

    def __post_init__(self):
        schema = yaml.safe_load(SCHEMA.read_text())
        errors = sorted(Draft202012Validator(schema).iter_errors(dict(self.config)), key=_depth)
        if errors:
            raise _sentence(errors[0], self.where)
        self._check_methods()
        self._check_datasets()
        self._check_selection()

    @classmethod
    def read(cls, path: str | Path) -> "Scope":
        """Read the config file at `path`."""
        return cls(yaml.safe_load(Path(path).read_text()), str(path))

    @property
    def name(self) -> str:
        """Name of the scope."""
        return self.config["scope"]

    @property
    def seed(self) -> int:
        """Seed that all others follow from."""
        return self.config.get("seed", 0)

    @property
    def replicates(self) -> int:
        """Number of replicates."""
        return self.config.get("replicates", 1)

    @property
    def latents(self) -> int:
        """Number of latents of every method."""
        return self.config.get("latents", 15)

    @property
    def training(self) -> dict[str, Any]:
        """Options of every trained model."""
        return {"n_latent": self.latents} | self.config.get("training", {})

    @property
    def likelihood_samples(self) -> int:
        """Monte-Carlo samples per cell of the importance-weighted likelihood."""
        return self.config.get("likelihood_samples", 1000)

    @property
    def accelerator(self) -> str:
        """Device of the trained models: auto, cpu or cuda."""
        return self.config.get("accelerator", "auto")

    @property
    def methods(self) -> list[str]:
        """Methods, in the order of the config."""
        return list(self.config["methods"])

    @property
    def reference(self) -> str:
        """Method that the others are tested against; the first one unless said."""
        return self.config.get("reference", self.methods[0])

    @property
    def rule(self) -> str:
        """Selection rule whose choice the figures show."""
        return self.config.get("selection", {}).get("rule", "validation_likelihood")

    @property
    def simulated(self) -> list[str]:
        """Datasets that a simulator draws."""
        return [name for name, dataset in self.config["datasets"].items() if "simulator" in dataset]

    @property
    def real(self) -> list[str]:
        """Datasets that are prepared from a file."""
        return [name for name in self.config["datasets"] if name not in self.simulated]

    def dataset(self, name: str) -> Mapping[str, Any]:
        """Return the entry of a dataset."""
        return self.config["datasets"][name]

    def split(self, name: str) -> Mapping[str, Any]:
        """Return the entry of a split."""
        return self.config["splits"][name]

    def preparation(self, dataset: str) -> dict[str, Any]:
        """Arguments of :func:`svae.datasets.prepare.prepare` for a real dataset."""
        return {key: value for key, value in self.dataset(dataset).items() if key in PREPARATION}

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs that fit."""
        return [
            Job(dataset, split, replicate, method)
            for dataset, entry in self.config["datasets"].items()
            for split in entry.get("splits", self.config["splits"])
            for replicate in range(self.replicates)
            for method in entry.get("methods", self.methods)
        ]

    @property
    def hindsight_metric(self) -> str:
        """Metric that the rule `hindsight` looks at."""
        return self.config.get("selection", {}).get("hindsight_metric", "mcc_pearson")

    def settings(self, method: str) -> list[Point]:
        """Return the grid of a method times its restarts, in the order of the config."""
        entry = self.config["methods"][method] or {}
        grid, restarts = entry.get("grid", {}), entry.get("restarts", 1)
        points = []
        for values in product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True))
            name = "_".join(f"{option}={value}" for option, value in chosen.items()) or "default"
            for restart in range(restarts):
                suffix = f".r{restart}" if restarts > 1 else ""
                points.append(Point(name + suffix, entry.get("options", {}) | chosen, restart))
        return points

    def data_seed(self, dataset: str, replicate: int) -> int:
        """Seed of a dataset's replicate."""
        seeds = self.dataset(dataset).get("seeds")
        return seeds[replicate] if seeds else seed_from(self.seed, dataset, replicate)

    def split_seed(self, dataset: str, split: str, replicate: int) -> int:
        """Seed of a split."""
        return seed_from(self.seed, dataset, split, replicate)

    def model_seed(self, job: Job, point: Point) -> int:
        """Seed of a model's weights, noise and order of data."""
        return seed_from(self.seed, *job, point.without_restart, point.restart)

    def _check_methods(self) -> None:
        available = {path.stem for path in METHOD_RULES.glob("[!_]*.smk")}
        for method in self.methods:
            if method not in available:
                error = unknown("method", method, available, f"{self.where}: methods")
                raise BenchmarkError(f"{error}; a method needs a rule file rules/methods/{method}.smk")
        self._among("method", [self.reference], self.methods, "reference")
        for method in self.config.get("selection", {}).get("fixed", {}):
            self._among("method", [method], self.methods, "selection: fixed")

    def _check_datasets(self) -> None:
        for name, entry in self.config["datasets"].items():
            where = f"datasets: {name}"
            origins = [origin for origin in ORIGINS if origin in entry]
            if not origins or ("simulator" in entry and len(origins) > 1):
                found = ", ".join(origins) or "none"
                raise BenchmarkError(
                    f"{self.where}: {where}: give one of {', '.join(ORIGINS)} (found: {found})"
                )
            if "simulator" not in entry and "label" not in entry:
                raise BenchmarkError(
                    f"{self.where}: {where}: label is missing, the column of the perturbations"
                )
            if len(entry.get("seeds", range(self.replicates))) < self.replicates:
                raise BenchmarkError(
                    f"{self.where}: {where}: seeds has fewer entries than there are replicates"
                )
            if "source" in entry and "path" not in entry:
                self._among("source", [entry["source"]], _names(SOURCES), f"{where}: source")
            if "simulator" in entry:
                self._among("preset", [entry["simulator"]], PRESETS, f"{where}: simulator")
                known = PRESETS[entry["simulator"]]
                self._among("parameter", entry.get("parameters", {}), known, f"{where}: parameters")
            self._among("split", entry.get("splits", []), self.config["splits"], where)
            self._among("method", entry.get("methods", []), self.methods, where)

    def _check_selection(self) -> None:
        known = _names(METRICS)
        self._among("metric", self.config.get("metrics", []), known, "metrics")
        self._among("metric", [self.hindsight_metric], known, "selection: hindsight_metric")

    def _among(self, kind: str, names: Iterable[str], valid: Iterable[str], key: str) -> None:
        for name in names:
            if name not in valid:
                raise unknown(kind, name, valid, f"{self.where}: {key}")


def _names(table: Path) -> list[str]:
    """First column of a table, read by hand: Snakemake checks a scope at each start."""
    return [line.split("\t")[0] for line in table.read_text(encoding="utf-8").splitlines()[1:]]


def _depth(error: ValidationError) -> int:
    return len(error.absolute_path)


def _sentence(error: ValidationError, where: str) -> BenchmarkError:
    """One sentence instead of the dump that jsonschema prints."""
    path = [where, *map(str, error.absolute_path)]
    if error.validator == "additionalProperties":
        valid = error.schema.get("properties", {})
        key = next(key for key in error.instance if key not in valid)
        return unknown("key", key, valid, ": ".join(path))
    if error.validator == "enum":
        return unknown("value", error.instance, error.validator_value, ": ".join(path))
    return BenchmarkError(f"{': '.join(path)}: {error.message}")
