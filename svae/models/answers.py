"""What a trained model can be asked: latents, shifts, targets, likelihoods, expression."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor

from svae.errors import BenchmarkError
from svae.expression import profile
from svae.models import transfer
from svae.models.module import PerturbationVAE
from svae.models.priors import DenseShift, MaskedShift
from svae.models.screen import Indices, ScreenReader, rows_of
from svae.seeds import checked_seed
from svae.targets import targets_from_shifts
from svae.training.cells import Cells

MOST_SAMPLES = 1_000_000
"""Samples of one cell are decoded at once."""


class AnswersMixin:
    """The questions; the model that they are put to is in :mod:`svae.models.model`.

    Attributes
    ----------
    perturbations_, batches_
        Labels of the data that the model was built on, in the order of their codes.
    trained_
        Perturbations that the model was trained on.
    adapted_
        Shift of each held-out perturbation that the model was adapted to.
    control_
        Label of unperturbed cells.
    """

    module: PerturbationVAE
    adata: Any
    registry_: dict[str, Any]
    perturbations_: list[str]
    batches_: list[str]
    trained_: list[str]
    adapted_: dict[str, list[float]]
    control_: str
    _check_if_trained: Any

    @torch.no_grad()
    def get_latent_representation(self, adata: AnnData | None = None, indices: Indices = None) -> np.ndarray:
        """Posterior means of the latents.

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``.

        Returns
        -------
        Cells × latents.
        """
        self._check_if_trained(warn=False)
        cells, names = self.read_cells(adata, indices)
        return transfer.posterior_means(self.module, cells, self.known_of(names)).cpu().numpy()

    @torch.no_grad()
    def get_posterior_modes(self, adata: AnnData | None = None, indices: Indices = None) -> np.ndarray:
        """Modes of p(z | x, perturbation), where the latents of cells are most probable under the model.

        Unlike the posterior means of the encoder, they follow from the decoder and from the shift of the
        cell's perturbation; that of a perturbation neither trained nor adapted to is 0.

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``.

        Returns
        -------
        Cells × latents.
        """
        self._check_if_trained(warn=False)
        cells, names = self.read_cells(adata, indices)
        return transfer.posterior_modes(self.module, cells, self.known_of(names)).cpu().numpy()

    @torch.no_grad()
    def get_elbo(
        self,
        adata: AnnData | None = None,
        indices: Indices = None,
        seed: int = 0,
        return_mean: bool = True,
    ) -> float | pd.Series:
        """Evidence lower bound in nats, from one draw of the latents; higher is better.

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``.
        seed
            Seed of the draw.
        return_mean
            Whether to return the mean over cells, instead of one value per cell.
        """
        self._check_if_trained(warn=False)
        cells, names = self.read_cells(adata, indices)
        seed = checked_seed(seed, "get_elbo")
        values = transfer.elbo(self.module, cells, self.known_of(names), seed)
        return self._of_cells(values, "elbo", adata, indices, return_mean)

    @torch.no_grad()
    def get_marginal_ll(
        self,
        adata: AnnData | None = None,
        indices: Indices = None,
        n_mc_samples: int = 250,
        seed: int = 0,
        return_mean: bool = True,
    ) -> float | pd.Series:
        """Log p(x | perturbation) in nats, by importance sampling around each cell's posterior.

        Higher is better.

        Perturbations seen in training have the shift they were trained with, adapted ones that of
        :meth:`adapt`, and any other none at all (zero-shot).

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``.
        n_mc_samples
            Samples per cell.
        seed
            Seed of the samples.
        return_mean
            Whether to return the mean over cells, instead of one value per cell.
        """
        self._check_if_trained(warn=False)
        n_mc_samples = _samples(n_mc_samples, "get_marginal_ll")
        cells, names = self.read_cells(adata, indices)
        known = {"all": self.known_of(names)}
        seed = checked_seed(seed, "get_marginal_ll")
        estimates = transfer.marginal_log_likelihood(self.module, cells, known, n_mc_samples, seed)
        values = estimates["all"].log_likelihood
        return self._of_cells(values, "log_likelihood", adata, indices, return_mean)

    @torch.no_grad()
    def get_normalized_expression(
        self, adata: AnnData | None = None, indices: Indices = None, library_size: float = 1.0
    ) -> pd.DataFrame:
        """Expected expression at the posterior means.

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``.
        library_size
            Sum over the genes of each cell.

        Returns
        -------
        Cells × genes.
        """
        self._check_if_trained(warn=False)
        is_number = isinstance(library_size, int | float | np.number) and not isinstance(library_size, bool)
        if not is_number or not 0 < library_size < np.inf:
            raise BenchmarkError(f"get_normalized_expression: library_size is {library_size!r}, not above 0")
        cells, names = self.read_cells(adata, indices)
        known = self.known_of(names)
        logit = self.module.decode(transfer.posterior_means(self.module, cells, known), cells.batch, known)
        values = (torch.softmax(logit, -1) * library_size).cpu().numpy()
        return pd.DataFrame(values, self._cell_names(adata, indices), self.adata.var_names)

    @torch.no_grad()
    def get_profiles(
        self, perturbations: Sequence[str], n_mc_samples: int = 1000, seed: int = 0
    ) -> pd.DataFrame:
        """Profiles that the model expects of cells of some perturbations.

        A profile is log(1 + 10,000 · share of the gene in all expected counts), under z ~ Normal(shift, I)
        with batches in the proportions of the data that the model was built on. Shifts are as in
        :meth:`get_marginal_ll`: a perturbation neither trained nor adapted to has none.

        Parameters
        ----------
        perturbations
            Labels, at least one.
        n_mc_samples
            Samples of the latents per perturbation.
        seed
            Seed of the samples.

        Returns
        -------
        Perturbation × gene.
        """
        self._check_if_trained(warn=False)
        n_mc_samples, seed = _samples(n_mc_samples, "get_profiles"), checked_seed(seed, "get_profiles")
        index = pd.Index(perturbations, name="perturbation")
        batches = torch.bincount(self.read_cells()[0].batch)
        known = self.known_of(index.to_numpy())
        shares = transfer.expected_shares(self.module, known, batches, n_mc_samples, seed)
        return pd.DataFrame(profile(shares.cpu().numpy()), index, self.adata.var_names)

    @torch.no_grad()
    def get_shifts(self) -> pd.DataFrame:
        """Mean shift of each perturbation, trained and adapted ones.

        A model without shifts (VAE, β-VAE, HSIC-VAE) answers with what its latents show: the mean of each
        perturbation's posterior means, less that of all cells.

        Returns
        -------
        Perturbation × latent.
        """
        self._check_if_trained(warn=False)
        if isinstance(self.module.prior, DenseShift):
            rows = self.module.prior.shifts().cpu().numpy()
            table = self._per_perturbation(rows).loc[self.trained_]
            adapted = pd.DataFrame.from_dict(self.adapted_, "index", np.float32, columns=table.columns)
            return pd.concat([table, adapted]).rename_axis("perturbation") if self.adapted_ else table
        latents = pd.DataFrame(self.get_latent_representation()).set_axis(self._latent_names(), axis=1)
        means = (latents - latents.mean()).groupby(self.reader.perturbation(self.adata)).mean()
        return means.rename_axis("perturbation").loc[self.trained_]

    @torch.no_grad()
    def get_targets(self) -> pd.DataFrame:
        """Probability that a perturbation shifts a latent, in [0, 1].

        A model without masks, such as VAE and iVAE, answers as the benchmark does, with
        :func:`svae.targets.targets_from_shifts` of its shifts and latents.

        Returns
        -------
        Perturbation × latent.
        """
        self._check_if_trained(warn=False)
        if isinstance(self.module.prior, MaskedShift):
            return self._per_perturbation(self.module.prior.targets().cpu().numpy()).loc[self.trained_]
        labels = self.reader.perturbation(self.adata)
        cells = np.flatnonzero(np.isin(labels, self.trained_))
        latents = self.get_latent_representation(indices=cells)
        shifts = self.get_shifts().loc[self.trained_]
        return targets_from_shifts(shifts, latents, labels[cells], self.control_)

    @property
    def n_latent(self) -> int:
        """Number of latents."""
        return self.module.prior.n_latent

    def read_cells(self, adata: AnnData | None = None, indices: Indices = None) -> tuple[Cells, np.ndarray]:
        """Cells as tensors on the model's device, and the names of their perturbations.

        Parameters
        ----------
        adata, indices
            Cells; those the model was built on where `adata` is ``None``. They may hold perturbations that
            the model does not know.
        """
        adata = self.adata if adata is None else adata
        cells = self.reader.cells(adata, indices).to(self.module.device)
        return cells, self.reader.perturbation(adata, indices)

    def known_of(self, names: np.ndarray) -> Tensor:
        """What the model knows of the perturbation of each cell: the mean of p(z | perturbation).

        It is 0 for a perturbation neither trained nor adapted.

        Parameters
        ----------
        names
            Perturbation of each cell.

        Returns
        -------
        Cells × latents.
        """
        rows = self.known_table().reindex(names).fillna(0.0).to_numpy(dtype=np.float32)
        return torch.as_tensor(rows, device=self.module.device)

    def known_table(self) -> pd.DataFrame:
        """What is known of each perturbation that was trained on or adapted to, perturbation × latent."""
        if isinstance(self.module.prior, DenseShift):
            return self.get_shifts()
        return pd.DataFrame(columns=self._latent_names(), dtype=float)

    @property
    def reader(self) -> ScreenReader:
        """Where counts and labels are found, in the model's own data and in others like them."""
        return ScreenReader(
            self.registry_["setup_args"],
            self.adata.var_names,
            self.perturbations_,
            self.batches_,
        )

    def _latent_names(self) -> list[str]:
        return [f"z{j + 1}" for j in range(self.n_latent)]

    def _per_perturbation(self, rows: np.ndarray) -> pd.DataFrame:
        index = pd.Index(self.perturbations_, name="perturbation")
        return pd.DataFrame(rows, index, self._latent_names())

    def _cell_names(self, adata: AnnData | None, indices: Indices) -> pd.Index:
        names = (self.adata if adata is None else adata).obs_names
        return names[rows_of(self.adata if adata is None else adata, indices)]

    def _of_cells(
        self, values: Tensor, name: str, adata: AnnData | None, indices: Indices, return_mean: bool
    ) -> float | pd.Series:
        """Values of cells as the user wants them: their mean, or a column."""
        if return_mean:
            return float(values.mean())
        return pd.Series(values.cpu().numpy(), self._cell_names(adata, indices), name=name)


def _samples(number: object, where: str) -> int:
    """Return a number of samples that a user gave to the function named `where`."""
    if isinstance(number, int | np.integer) and not isinstance(number, bool) and 1 <= number <= MOST_SAMPLES:
        return int(number)
    wanted = f"a whole number from 1 to {MOST_SAMPLES:,}"
    raise BenchmarkError(f"{where}: n_mc_samples is {number!r}, but must be {wanted}")
