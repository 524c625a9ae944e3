"""Networks that are kept beside their fits, so that a question that is asked later needs no training.

Models of the family and of scvi-tools have a format of their own; this is that of all other networks.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from svae.errors import BenchmarkError
from svae.methods.options import OPTIONS

WEIGHTS = "model.pt"


@dataclass(frozen=True, eq=False)
class Kept:
    """A network as it was trained.

    Attributes
    ----------
    method
        Which method trained it.
    network
        In evaluation mode, on the CPU.
    options
        Those of the method, as it was trained with them.
    genes
        Genes of its input, in their order.
    parts
        Perturbations that are no combinations, in the order of its entries; empty if it is told none.
    """

    method: str
    network: nn.Module
    options: Any
    genes: list[str]
    parts: list[str]


def keep(
    network: nn.Module,
    folder: Path,
    method: str,
    options: Any,
    genes: Iterable[str],
    parts: Iterable[str] = (),
) -> None:
    """Write a network, and what it is built from, into `folder`.

    Parameters
    ----------
    network
        As trained.
    folder
        Is made if it is missing.
    method, options, genes, parts
        As in :class:`Kept`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    built_from = {"method": method, "options": options.model_dump(), "genes": [*genes], "parts": [*parts]}
    torch.save(built_from | {"weights": network.state_dict()}, folder / WEIGHTS)


def load(folder: Path) -> Kept:
    """Read a network that :func:`keep` wrote.

    Raises
    ------
    BenchmarkError
        If there is none, or another program wrote it.
    """
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise BenchmarkError(f"{folder}: there is no {WEIGHTS}; was the fit made with `keep_models: false`?")
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # scvi-tools keeps more than numbers and text
        read = None
    if not isinstance(read, dict) or read.get("method") not in OPTIONS:
        raise BenchmarkError(
            f"{path}: another program wrote it; models of the family and of scvi-tools load by their class"
        )
    method, genes, parts = read["method"], read["genes"], read["parts"]
    options = OPTIONS[method](**read["options"])
    network = _untrained(method, len(genes), len(parts), options)
    network.load_state_dict(read["weights"])
    return Kept(method, network.eval(), options, genes, parts)


def _untrained(method: str, n_genes: int, n_parts: int, options: Any) -> nn.Module:
    # The modules of the methods import this one.
    from svae.methods.autoencoders.fit import NETWORKS
    from svae.methods.discrepancy_vae import DiscrepancyVAE
    from svae.methods.latent_additive import LatentAdditive

    if method in NETWORKS:
        return NETWORKS[method](torch.ones(2, n_genes), options)
    told_parts = {"discrepancy_vae": DiscrepancyVAE, "latent_additive": LatentAdditive}
    return told_parts[method](n_genes, n_parts, options)
