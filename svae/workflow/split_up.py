"""Splits that a scope asks for in one line: the folds of a dataset, or one pathway after the other."""

import re
from collections.abc import Mapping

from svae.contracts.pathways import read_pathways
from svae.datasets.split_plan import ALL, Fold, SplitPlan
from svae.errors import BenchmarkError
from svae.seeds import seed_from
from svae.workflow.sections import Dataset


def split_up(splits: Mapping[str, SplitPlan], seed: int, where: str) -> dict[str, dict[str, SplitPlan]]:
    """Return, for each entry of a config file, the splits that it stands for, by name.

    An entry of the kind ``each`` stands for one split per fold, called ``<entry>-1``, ``<entry>-2``, …, and
    a list of pathways for one split per pathway, ``<entry>-<pathway>``, in which `_` takes the place of what
    names may not have. Any other entry stands for itself, under its own name.

    Parameters
    ----------
    splits
        Entries by name, as the config file lists them.
    seed
        Seed of the scope. That of the folds follows from it and the entry's name, not from the replicate.
    where
        Name of the config file, for error messages.

    Raises
    ------
    BenchmarkError
        If two splits would have one name.
    """
    found: dict[str, dict[str, SplitPlan]] = {}
    taken: dict[str, str] = {}
    for entry, plan in splits.items():
        found[entry] = {}
        for name, part in _parts(entry, plan, seed):
            if name in taken:
                raise BenchmarkError(
                    f"{where}: splits: '{entry}' and '{taken[name]}' both make a split called '{name}'; "
                    "rename one"
                )
            taken[name] = entry
            found[entry][name] = part
    return found


def with_all_of(
    splits: Mapping[str, Mapping[str, SplitPlan]], datasets: Mapping[str, Dataset]
) -> dict[str, Dataset]:
    """Return the datasets of a scope; where one names an entry of splits, it has all that this stands for."""
    return {
        name: dataset.model_copy(
            update={"splits": [part for entry in dataset.splits for part in splits.get(entry, [entry])]}
        )
        if dataset.splits
        else dataset
        for name, dataset in datasets.items()
    }


def _parts(entry: str, plan: SplitPlan, seed: int) -> list[tuple[str, SplitPlan]]:
    """Return name and plan of each split that an entry stands for."""
    if not plan.is_several:
        return [(entry, plan)]
    given = plan.model_dump(exclude_unset=True)
    if plan.kind == "each":
        dealt = given | {"of": entry, "seed": seed_from(seed, "folds", entry)}
        folds = range(1, plan.folds + 1)
        return [(f"{entry}-{fold}", Fold.model_validate(dealt | {"fold": fold})) for fold in folds]
    return [
        (f"{entry}-{_as_name(pathway)}", SplitPlan.model_validate(given | {"held_out": pathway}))
        for pathway in _pathways(plan)
    ]


def _pathways(plan: SplitPlan) -> list[str]:
    """Return the pathways that a plan names; ``each``, if their file cannot be read, which is told later."""
    if isinstance(plan.held_out, list):
        return plan.held_out
    assert plan.pathways is not None  # so says the plan
    try:
        return list(read_pathways(plan.pathways))
    except BenchmarkError:
        return [ALL]


def _as_name(pathway: str) -> str:
    """Write the name of a pathway with the characters that names of splits may have.

    >>> _as_name("39S ribosomal subunit, mitochondrial")
    '39S_ribosomal_subunit_mitochondrial'
    """
    return re.sub("[^A-Za-z0-9_-]+", "_", pathway)
