"""The sections of a config file: its datasets, its methods, and how settings are chosen."""

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from svae.datasets.preparation import Preparation
from svae.options import Options

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
MethodName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class SimulatedDataset(Options):
    """A dataset that a simulator draws, anew for each replicate."""

    simulator: str
    """Name of a simulator in `svae.simulation`."""
    parameters: dict[str, Any] = Field(default={})
    """Parameters of the simulator that differ from their defaults."""
    seeds: list[NonNegativeInt] | None = None
    """Seed of each replicate, instead of those that follow from names."""
    splits: list[str] | None = None
    """Splits of this dataset; all by default."""
    methods: list[str] | None = None
    """Methods that run on this dataset; all by default."""


class RealDataset(Preparation):
    """A dataset that is prepared from a file; all replicates hold the same cells."""

    source: str | None = None
    """Row of `config/datasets.tsv` to download."""
    path: str | None = None
    """Local h5ad file; nothing is downloaded then."""
    splits: list[str] | None = None
    """Splits of this dataset; all by default."""
    methods: list[str] | None = None
    """Methods that run on this dataset; all by default."""

    @property
    def preparation(self) -> Preparation:
        """What to keep of the file."""
        return Preparation.model_validate({name: getattr(self, name) for name in Preparation.model_fields})


def _origin(entry: Any) -> Literal["<simulated>", "<real>"] | None:
    """Tell the two kinds of datasets apart; None for an entry that is neither, or both."""
    if not isinstance(entry, Mapping):
        return "<real>" if isinstance(entry, RealDataset) else "<simulated>"
    from_file = "source" in entry or "path" in entry
    if from_file == ("simulator" in entry):
        return None
    return "<real>" if from_file else "<simulated>"


Dataset = Annotated[
    Annotated[SimulatedDataset, Tag("<simulated>")] | Annotated[RealDataset, Tag("<real>")],
    Discriminator(
        _origin,
        custom_error_type="origin",
        custom_error_message="give one of simulator, source (a download) and path (a local file)",
    ),
]


class MethodOptions(Options):
    """How often a method is fitted, and with which options; a method may be named without any."""

    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default={})
    """Option to its values; the settings of the method are all combinations."""
    options: dict[str, Any] = Field(default={})
    """Options of every setting."""
    restarts: PositiveInt = 1
    """Random starts of each point of the grid."""

    def points(self) -> dict[str, dict[str, Any]]:
        """Points of the grid: their names, such as ``beta=2_penalty=10``, and options.

        The order of the keys in the config changes no name, hence no seed.
        """
        points = {}
        grid = dict(sorted(self.grid.items()))
        for values in product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True))
            name = "_".join(f"{option}={value}" for option, value in chosen.items()) or "default"
            points[name] = self.options | chosen
        return points


def _no_options(entry: Any) -> Any:
    """Read a method that is named without options, which YAML hands over as None."""
    return {} if entry is None else entry


Method = Annotated[MethodOptions, BeforeValidator(_no_options, json_schema_input_type=MethodOptions | None)]


class Selection(Options):
    """How a setting is chosen per method. The tables hold the choices of all rules."""

    rule: str = "validation_likelihood"
    """Selection rule whose choice the figures show."""
    fixed: dict[str, str] = Field(default={})
    """Setting per method that the rule `fixed` takes; the first of the grid by default."""
    hindsight_metric: str = "mcc_pearson"
    """Metric that the rule `hindsight` looks at."""
