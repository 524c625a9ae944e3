"""Datasets that a scope asks for in one line: a dataset with one thing changed at a time."""

from collections.abc import Mapping

from svae.options import checked
from svae.workflow.sections import Dataset, SimulatedDataset, VariedDataset

LATENTS_FITTED = "n_latent"
"""What can be varied beside the parameters of a simulator: the number of latents that methods fit."""


def with_varied(datasets: Mapping[str, Dataset], where: str) -> dict[str, Dataset]:
    """Return the datasets of a scope, each followed by those that its key `vary` asks for.

    Parameters
    ----------
    datasets
        Datasets by name, as the config file lists them.
    where
        Name of the config file, for error messages.

    Raises
    ------
    BenchmarkError
        If a number of latents to fit is none. Parameters of simulators are checked with all other names.
    """
    expanded: dict[str, Dataset] = {}
    for name, entry in datasets.items():
        expanded[name] = entry
        if isinstance(entry, SimulatedDataset):
            expanded |= _varied(name, entry, f"{where}: datasets: {name}: vary")
    return expanded


def _varied(baseline: str, entry: SimulatedDataset, where: str) -> dict[str, VariedDataset]:
    """Return, by name, each dataset that differs from `entry` in one thing."""
    same = entry.model_dump(exclude={"vary"}, exclude_unset=True)
    varied = {}
    for axis, values in entry.vary.items():
        for value in values:
            changed = {axis: value}
            if axis != LATENTS_FITTED:
                changed = {"parameters": entry.parameters | changed}
            facts = same | changed | {"baseline": baseline, "axis": axis}
            varied[f"{baseline}_{axis}={_written(value)}"] = checked(VariedDataset, facts, where)
    return varied


def _written(value: object) -> str:
    """Write a value as a part of a name: 2.0 is 2."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
