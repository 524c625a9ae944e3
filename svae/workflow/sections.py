"""The sections of a config file: its datasets, its methods, and how settings are chosen."""

import re
from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from svae.datasets.preparation import Preparation
from svae.options import Options
from svae.values import Count, Distinct, Repetitions, Seeds, Text, Texts, number_in

LONGEST_NAME = 100
"""Names of a scope become names of folders and files."""


def _name(characters: str, said: str) -> Any:
    """Return the type of a name that is made of some characters, which the error says in words."""

    def check(name: str) -> str:
        if not re.fullmatch(f"[{characters}]{{1,{LONGEST_NAME}}}", name):
            raise PydanticCustomError(
                "name", "a name has at most {most} characters: {said}", {"most": LONGEST_NAME, "said": said}
            )
        return name

    schema = WithJsonSchema({"type": "string", "pattern": f"^[{characters}]{{1,{LONGEST_NAME}}}$"})
    return Annotated[str, AfterValidator(check), schema]


Name = _name("A-Za-z0-9_-", "letters without accents, digits, '_' and '-'")
MethodName = _name("A-Za-z0-9_", "letters without accents, digits and '_'")


ParameterValue = Annotated[Any, BeforeValidator(number_in)]


class SimulatedDataset(Options):
    """A dataset that a simulator draws, anew for each replicate."""

    simulator: Text
    """Name of a simulator in `svae.simulation`."""
    parameters: dict[str, ParameterValue] = Field(default={})
    """Parameters of the simulator that differ from their defaults."""
    vary: dict[str, Distinct[ParameterValue]] = Field(default={})
    """Values of one parameter at a time. Each value makes one more dataset, which equals this one but for it,
    and is called `<dataset>_<parameter>=<value>`. Beside the parameters of the simulator, `n_latent` can be
    varied."""
    n_latent: Count | None = None
    """Number of latents of every method on this dataset, unless its options or grid name it; by default
    `latents` of the scope."""
    seeds: Seeds | None = None
    """Seed of each replicate, instead of those that follow from names."""
    splits: Texts | None = None
    """Splits of this dataset; all by default."""
    methods: Texts | None = None
    """Methods that run on this dataset; all by default."""


class VariedDataset(SimulatedDataset):
    """A dataset that the key `vary` of another one asks for; no config file has it."""

    baseline: Text
    """Name of the dataset that it equals but for one thing."""
    axis: Text
    """Name of this thing: a parameter of the simulator, or `n_latent`."""


class RealDataset(Preparation):
    """A dataset that is prepared from a file; all replicates hold the same cells."""

    source: Text | None = None
    """Row of `config/datasets.tsv` to download."""
    path: Text | None = None
    """Local h5ad file; nothing is downloaded then."""
    gene_sets: Text | None = None
    """File of gene sets (GMT, or JSON of name to genes), such as pathways; the report says which of them the
    latents move. No method sees it."""
    splits: Texts | None = None
    """Splits of this dataset; all by default."""
    methods: Texts | None = None
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
    restarts: Repetitions = 1
    """Random starts of each point of the grid."""
    replicates: Repetitions | None = None
    """Replicates that the method is fitted on, the first ones: fewer for a slow method; all by default."""

    def combinations(self) -> list[dict[str, Any]]:
        """All combinations of the values of the grid.

        The order of the keys in the config changes no name, hence no seed.
        """
        grid = dict(sorted(self.grid.items()))
        return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]

    @staticmethod
    def name_of(combination: Mapping[str, Any]) -> str:
        """Return what a point of the grid is called, such as ``beta=2_penalty=10``."""
        return "_".join(f"{option}={value}" for option, value in combination.items()) or "default"

    def points(self) -> dict[str, dict[str, Any]]:
        """Points of the grid: their names and options."""
        return {self.name_of(chosen): self.options | chosen for chosen in self.combinations()}


def _no_options(entry: Any) -> Any:
    """Read a method that is named without options, which YAML hands over as None."""
    return {} if entry is None else entry


Method = Annotated[MethodOptions, BeforeValidator(_no_options, json_schema_input_type=MethodOptions | None)]


class Selection(Options):
    """How a setting is chosen per method. The tables hold the choices of all rules."""

    rule: Text = "validation_likelihood"
    """Rule whose choice figures show: `fixed`, `validation_likelihood`, `udr` or `hindsight`."""
    fixed: dict[str, Text] = Field(default={})
    """Setting per method that the rule `fixed` takes; the first of the grid by default."""
    hindsight_metric: Text = "mcc_pearson"
    """Metric that the rule `hindsight` looks at."""
