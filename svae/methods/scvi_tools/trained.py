"""Trained models of scvi-tools, asked for what a fit holds."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scvi.external import ContrastiveVI
from scvi.model import SCANVI, SCVI

from svae.differential import DELTA, PSEUDOCOUNT
from svae.methods.expected import expected_of_shown_cells
from svae.methods.scvi_tools.screen import Screen, model_arguments, relabelled
from svae.words import CONTROL, PROTOCOLS, Basis

UNKNOWN = "unknown"
"""What scANVI calls cells whose label it is not told."""


class Trained(ABC):
    """A trained model of scvi-tools, asked for what a fit holds.

    Attributes
    ----------
    model
        What answers.
    cells_per_loss
        Of how many cells the library's loss is the sum.
    draws
        Whether the library draws cells from the model.
    protocols
        Protocols that its likelihood of held-out cells is one of.
    """

    model: Any
    cells_per_loss = 1
    draws = True
    protocols: tuple[str, ...] = PROTOCOLS

    @property
    def learner(self) -> Any:
        """The model that was trained on the cells of the trained perturbations."""
        return self.model

    @abstractmethod
    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents."""

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, cells × genes."""
        # At one sample of the latents of each cell.
        return self.model.get_normalized_expression(cells, library_size=1, return_numpy=True)

    def predictions(self, cells: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame] | None:
        """Profiles of held-out perturbations; None if nothing is held out.

        Parameters
        ----------
        cells
            Counts of all cells, cells × genes.
        split
            One row per cell: ``cell``, ``perturbation``, ``part``.
        """
        return expected_of_shown_cells(self.shares, cells, split)

    def differential(self) -> dict[str, pd.DataFrame] | None:
        """Which genes each trained perturbation moves, by the library's own test; None without a control.

        The library compares pairs of a perturbed cell and a control cell. Its probability that a gene is
        moved is the larger one of those that it goes up, and that it goes down (Boyeau et al. 2019, 2023).
        """
        cells = self.learner.adata
        perturbed = [name for name in cells.obs["perturbation"].cat.categories if name != CONTROL]
        if not perturbed or not (cells.obs["perturbation"] == CONTROL).any():
            return None
        found = self.learner.differential_expression(
            groupby="perturbation",
            group1=perturbed,
            group2=CONTROL,
            mode="change",
            delta=DELTA,
            pseudocounts=PSEUDOCOUNT,
            all_stats=False,
            silent=True,
        )
        found = found.rename_axis("gene").reset_index()
        columns = {"probability": "proba_de", "log2_fold_change": "lfc_median"}
        return {
            name: found.pivot(index="group1", columns="gene", values=column)
            .reindex(columns=cells.var_names)
            .rename_axis("perturbation")
            for name, column in columns.items()
        }

    def draw(self, cells: ad.AnnData) -> sparse.csr_matrix:
        """Counts drawn from the posterior predictive distribution of each cell, cells × genes."""
        return self.model.posterior_predictive_sample(cells, n_samples=1).to_scipy_sparse().tocsr()

    def log_likelihood(self, cells: ad.AnnData, n_samples: int) -> np.ndarray | None:
        """Log p(x) of each cell in nats, by samples of the encoder's posterior; None if there is none."""
        return None

    def history(self) -> pd.DataFrame:
        """Columns ``epoch``, ``train`` and ``validation``: −ELBO in nats per cell."""
        history = self.learner.history
        train = history["elbo_train"]["elbo_train"].to_numpy(dtype=float)
        validation = np.full(len(train), np.nan)
        if "elbo_validation" in history:
            validation = history["elbo_validation"]["elbo_validation"].to_numpy(dtype=float)
        losses = {"train": train / self.cells_per_loss, "validation": validation / self.cells_per_loss}
        return pd.DataFrame({"epoch": np.arange(1, len(train) + 1), **losses})


class TrainedSCVI(Trained):
    """scVI (Lopez et al. 2018): one prior for all cells; it is never told the perturbation."""

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        SCVI.setup_anndata(screen.seen, batch_key=screen.batch_key)
        self.model = SCVI(screen.seen, **model_arguments(options))
        self.model.train(**screen.training_arguments(options, accelerator))

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents."""
        return self.model.get_latent_representation(cells)

    def log_likelihood(self, cells: ad.AnnData, n_samples: int) -> np.ndarray:
        """Log p(x) of each cell in nats."""
        found = self.model.get_marginal_ll(cells, n_mc_samples=n_samples, return_mean=False)
        return np.asarray(found, dtype=float)


class TrainedSCANVI(Trained):
    """scANVI (Xu et al. 2021): scVI, then trained on with a classifier of perturbations."""

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        SCVI.setup_anndata(screen.seen, labels_key="perturbation", batch_key=screen.batch_key)
        before = SCVI(screen.seen, **model_arguments(options))
        arguments = screen.training_arguments(options, accelerator)
        before.train(**arguments)
        self.model = SCANVI.from_scvi_model(before, unlabeled_category=UNKNOWN)
        # How long scANVI trains follows from how long scVI did, by the library's own rule.
        self.model.train(**{name: value for name, value in arguments.items() if name != "max_epochs"})

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents; the encoder is not told the label."""
        return self.model.get_latent_representation(relabelled(cells, UNKNOWN))

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, whose label it is not told."""
        return super().shares(relabelled(cells, UNKNOWN))

    def draw(self, cells: ad.AnnData) -> sparse.csr_matrix:
        """Counts drawn from the posterior predictive distribution of each cell, which has no label."""
        return super().draw(relabelled(cells, UNKNOWN))


class TrainedContrastiveVI(Trained):
    """contrastiveVI (Weinberger et al. 2023): latents that all cells share, and salient ones of targets."""

    cells_per_loss = 2  # each step takes pairs of a control cell and a perturbed one
    draws = False

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        ContrastiveVI.setup_anndata(screen.seen, batch_key=screen.batch_key)
        arguments = {name: value for name, value in model_arguments(options).items() if name != "n_latent"}
        self.model = ContrastiveVI(screen.seen, n_salient_latent=options["n_latent"], **arguments)
        is_control = (screen.seen.obs["perturbation"] == CONTROL).to_numpy()
        self.model.train(
            background_indices=np.flatnonzero(is_control).tolist(),
            target_indices=np.flatnonzero(~is_control).tolist(),
            **screen.training_arguments(options, accelerator),
        )

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means of the salient latents, cells × latents."""
        return self.model.get_latent_representation(cells, representation_kind="salient")

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, salient latents included."""
        return self.model.get_normalized_expression(cells, library_size=1, return_numpy=True)["salient"]

    def differential(self) -> None:
        """None: the library's test of this model asks which cells are target cells, and was not measured."""
