"""Cells whose counts were observed, and what the counts say of the latents."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from svae.posterior import density
from svae.posterior.network import CountNetwork

NUMBERS = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Numbers that one array holds at most while a network runs: what a processor's cache, or a GPU, holds."""


@dataclass(frozen=True, eq=False)
class ObservedCells:
    """Counts of cells and the network that is to explain them; an index or a slice selects some cells.

    Use :meth:`of` to make one.

    Attributes
    ----------
    network
        Decoder and distribution of the counts.
    counts
        Cells × genes, of the network's type and on its device.
    batch
        Code of each cell's batch.
    library
        Expected counts of each cell; not used where the network does not normalise within cells.
    constant
        Log-likelihood of each cell but for what depends on the latents.
    """

    network: CountNetwork
    counts: Tensor
    batch: Tensor
    library: Tensor
    constant: Tensor

    @classmethod
    def of(
        cls,
        network: CountNetwork,
        counts: Tensor,
        batch: Tensor | None = None,
        library: Tensor | None = None,
    ) -> "ObservedCells":
        """Put cells and network together.

        Parameters
        ----------
        network
            Decoder and distribution of the counts.
        counts
            Cells × genes.
        batch
            Code of each cell's batch; None: there are no batches.
        library
            Expected counts of each cell; None where the network does not normalise within cells.
        """
        if network.dispersion is None:
            constant = -torch.lgamma(counts + 1).sum(-1)
        else:
            constant = density.constant(counts, network.dispersion.log()).sum(-1)
        batch = torch.zeros(len(counts), dtype=torch.int64, device=counts.device) if batch is None else batch
        library = torch.ones_like(constant) if library is None else library
        if network.within_cells:
            constant = constant + counts.sum(-1) * library.log()
        return cls(network, counts, batch, library, constant)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: slice | Tensor) -> "ObservedCells":
        return ObservedCells(
            self.network, self.counts[rows], self.batch[rows], self.library[rows], self.constant[rows]
        )

    def log_likelihood(self, z: Tensor) -> Tensor:
        """Log p(x | z) in nats at samples `z` of each cell (cells × samples × latents), cells × samples."""
        out = z.new_empty(z.shape[:2])
        for rows, samples in self._tiles(z.shape[1]):
            out[rows, samples] = self[rows]._log_likelihood(z[rows, samples])
        return out

    def score(self, z: Tensor) -> Tensor:
        """Gradient of log p(x | z) in `z` (cells × samples × latents), of the same shape."""
        out = torch.empty_like(z)
        for rows, samples in self._tiles(z.shape[1]):
            out[rows, samples] = self[rows]._score(z[rows, samples])
        return out

    def score_and_information(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Score and Fisher information of the latents.

        Parameters
        ----------
        z
            Cells × latents.

        Returns
        -------
        Gradient of log p(x | z), cells × latents; and its expected negative Hessian, J diag(i) Jᵀ with the
        Jacobian J of the log means and the Fisher information i of each count in its log mean, cells ×
        latents × latents.
        """
        pairs = [self[rows]._score_and_information(z[rows]) for rows, _ in self._tiles(z.shape[1])]
        score, information = zip(*pairs, strict=True)
        return torch.cat(score), torch.cat(information)

    def _tiles(self, samples: int) -> Iterator[tuple[slice, slice]]:
        """Cells and samples for which the arrays of one run of the network are small; at least one tile."""
        most = max(1, NUMBERS.get(self.counts.device.type, NUMBERS["cpu"]) // self.network.width)
        some = min(samples, most)
        cells = max(1, most // some)
        for row in range(0, max(1, len(self)), cells):
            for sample in range(0, samples, some):
                yield slice(row, row + cells), slice(sample, sample + some)

    def _log_likelihood(self, z: Tensor) -> Tensor:
        logit, _ = self.network.run(z, self.batch)
        if self.network.within_cells:
            logit -= logit.amax(-1, keepdim=True)
        linear = (logit @ self.counts[:, :, None]).squeeze(-1)
        mean = logit.exp_()
        if self.network.within_cells:
            total = mean.sum(-1)
            linear -= self.counts.sum(-1, keepdim=True) * total.log()
            mean *= (self.library[:, None] / total)[..., None]
        return self.constant[:, None] + linear - self._log_normaliser(mean)

    def _log_normaliser(self, mean: Tensor) -> Tensor:
        """What the distribution of the counts takes off x · log mean; `mean` is spoilt."""
        dispersion = self.network.dispersion
        if dispersion is None:
            return mean.sum(-1)
        log_excess = mean.div_(dispersion).log1p_()
        return (log_excess @ (self.counts + dispersion)[:, :, None]).squeeze(-1)

    def _means(self, logit: Tensor) -> Tensor:
        """Expected counts, cells × samples × genes."""
        if self.network.within_cells:
            return torch.softmax(logit, -1).mul_(self.library[:, None, None])
        return logit.exp()

    def _shrinkage(self, mean: Tensor) -> Tensor | float:
        """Share of a Poisson's score and information in the log means that overdispersion leaves."""
        if self.network.dispersion is None:
            return 1.0
        return mean.div(self.network.dispersion).add_(1).reciprocal_()

    def _score_in_logits(self, mean: Tensor, shrinkage: Tensor | float) -> Tensor:
        """Score in the logits; within a cell, a higher logit lowers the means of all other genes."""
        in_log_means = (self.counts[:, None] - mean).mul_(shrinkage)
        if not self.network.within_cells:
            return in_log_means
        lowered = in_log_means.sum(-1, keepdim=True).div_(self.library[:, None, None])
        return in_log_means.addcmul_(mean, lowered, value=-1)

    def _score(self, z: Tensor) -> Tensor:
        logit, activations = self.network.run(z, self.batch)
        mean = self._means(logit)
        gradient = self._score_in_logits(mean, self._shrinkage(mean))
        return self.network.pull_back(gradient, activations)

    def _score_and_information(self, z: Tensor) -> tuple[Tensor, Tensor]:
        logit, activations = self.network.run(z[:, None], self.batch)
        mean = self._means(logit)
        shrinkage = self._shrinkage(mean)
        score = self.network.pull_back(self._score_in_logits(mean, shrinkage), activations)
        jacobian = self.network.jacobian(activations)
        if self.network.within_cells:
            share = mean / self.library[:, None, None]
            jacobian = jacobian - (jacobian * share).sum(-1, keepdim=True)
        return score[:, 0], (jacobian * (mean * shrinkage)) @ jacobian.transpose(-1, -2)
