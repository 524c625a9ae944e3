"""Train an autoencoder, and hand back what a benchmark asks of it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch

from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, seen_cells
from svae.errors import unknown
from svae.methods.autoencoders.dca import DCA
from svae.methods.autoencoders.network import Autoencoder, counts_of
from svae.methods.autoencoders.scgen import ScGen
from svae.methods.kept import keep
from svae.methods.options import chosen_options
from svae.models.together import device_of
from svae.seeds import seed_from
from svae.training import fleet
from svae.training.cells import Cells, count_tensor
from svae.training.plan import TrainingPlan
from svae.training.record import Training
from svae.words import CONTROL

NETWORKS: Mapping[str, Callable[..., Autoencoder]] = {"dca": DCA, "scgen": ScGen}
"""Networks by method; each is built from the counts of the training cells and its options."""


def fit_autoencoder(
    method: str,
    dataset: ad.AnnData,
    split: pd.DataFrame,
    setting: Setting,
    accelerator: str = "auto",
    model_folder: Path | None = None,
) -> Fit:
    """Train on the part ``train``, and stop by the part ``validation``.

    Parameters
    ----------
    method
        ``dca`` (Eraslan et al. 2019) or ``scgen`` (Lotfollahi et al. 2019).
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of the method in :mod:`svae.methods.options`.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    model_folder
        Where to keep the trained network (:mod:`svae.methods.kept`); None keeps none.

    Returns
    -------
    Fit
        Latents, shifts, learning curve and predictions. `not_applicable` if the method needs control cells
        and there are none, and `diverged` if the loss became NaN.

    Raises
    ------
    BenchmarkError
        If there is no such method, or an option is unknown or out of range.
    """
    if method not in NETWORKS:
        raise unknown("autoencoder", method, NETWORKS, "fit_autoencoder")
    options = chosen_options(method, setting)
    is_training = dataset.obs_names.isin(cells_of(split, "train").index)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(setting.seed, "weights"))
        network = NETWORKS[method](counts_of(dataset[is_training]), options)
    if network.without_control is not None and CONTROL not in set(seen_cells(split)):
        return Fit.missing(dataset.obs_names, setting, "not_applicable", network.without_control)
    # It stops early and keeps its best weights, as the originals do.
    plan = TrainingPlan(
        max_epochs=options.max_epochs,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        patience=options.patience,
        warmup_epochs=0,
        keep="best",
    )
    done = train(network, dataset, split, plan, setting.seed, accelerator)
    if done.diverged:
        message = f"the loss became NaN in epoch {len(done.history)}"
        return Fit.missing(dataset.obs_names, setting, "diverged", message)
    if model_folder is not None:
        keep(network, model_folder, method, options, dataset.var_names)
    latents = network.latents(dataset)
    return Fit(
        cells=dataset.obs_names,
        latents=latents.to_numpy(),
        shifts=network.shifts(latents, split),
        predictions=network.predictions(latents, dataset, split),
        history=done.table(),
        run=Run(setting=setting.name, seed=setting.seed),
    )


def train(
    network: Autoencoder,
    dataset: ad.AnnData,
    split: pd.DataFrame,
    plan: TrainingPlan,
    seed: int,
    accelerator: str,
) -> Training:
    """Train a network, and hand it back on the CPU.

    Parameters
    ----------
    network
        Its weights are changed.
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    plan
        The optimisation.
    seed
        Of the order of the cells and of the noise.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    """
    seen = dataset[dataset.obs_names.isin(seen_cells(split).index)]
    nothing = torch.zeros(seen.n_obs, dtype=torch.int64)
    cells = Cells(count_tensor(seen.X), nothing, nothing).to(device_of(accelerator))
    training, validation = (
        np.flatnonzero(seen.obs_names.isin(cells_of(split, part).index)) for part in ("train", "validation")
    )
    [done] = fleet.train([network], [seed_from(seed, "training")], cells, training, validation, plan)
    network.cpu().eval()
    return done
