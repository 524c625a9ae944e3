"""The latent additive model: an embedding of the perturbation is added to the latents of control cells."""

import copy
from dataclasses import dataclass
from itertools import pairwise

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from svae.contracts.combinations import multi_hot
from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, combinations_of_trained, seen_cells
from svae.expression import TARGET_SUM, log_normalised, profile, profiles_of
from svae.methods.additive import nothing_to_add_up
from svae.methods.options import LatentAdditiveOptions, chosen_options
from svae.seeds import seed_from
from svae.words import CONTROL

CELLS_AT_ONCE = 1024
"""Cells that a trained network is applied to at a time, for memory."""


def fit_latent_additive(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Train on single perturbations and trained combinations, and predict held-out combinations.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.LatentAdditiveOptions`.

    Returns
    -------
    Fit
        With predictions on the basis ``combination``. `not_applicable` where the additive baseline is, and
        `diverged` if a prediction is not finite.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range.
    """
    options: LatentAdditiveOptions = chosen_options("latent_additive", setting)
    problem = nothing_to_add_up(split)
    if problem is not None:
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)
    seen, combinations = seen_cells(split), combinations_of_trained(split)
    parts = multi_hot([CONTROL, *seen, *combinations])
    training = Cells.of(dataset, cells_of(split, "train"), parts)
    validation = Cells.of(dataset, cells_of(split, "validation"), parts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(setting.seed, "weights"))
        model = LatentAdditive(dataset.n_vars, parts.shape[1], options)
    model.begin_at(training.expression.mean(dim=0))
    train(model, training, validation, options, seed_from(setting.seed, "batches"))
    wanted = _tensor(parts.loc[[CONTROL, *combinations]])
    expected = profile(expected_expression(model, training.expression[training.controls], wanted))
    control = profiles_of(dataset, seen).loc[CONTROL].to_numpy()
    predicted = np.maximum(control + expected[1:] - expected[0], 0)
    if not np.isfinite(predicted).all():
        return Fit.missing(dataset.obs_names, setting, "diverged", "predictions are not finite")
    table = pd.DataFrame(predicted, combinations, dataset.var_names)
    run = Run(setting=setting.name, seed=setting.seed)
    return Fit(dataset.obs_names, predictions={"combination": table}, run=run)


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one part of a split.

    Attributes
    ----------
    expression
        log(1 + 10,000 · share of the gene in the counts of the cell), cells × genes.
    perturbation
        Which perturbations the cell was given, cells × parts, 0 or 1.
    controls
        Places of the unperturbed cells.
    """

    expression: Tensor
    perturbation: Tensor
    controls: np.ndarray

    @classmethod
    def of(cls, dataset: ad.AnnData, labels: pd.Series, parts: pd.DataFrame) -> "Cells":
        """Select the cells of `labels`, the perturbation of each, indexed by cell; `parts` is multi-hot."""
        cells = dataset[dataset.obs_names.get_indexer(labels.index)]
        return cls(
            expression=torch.as_tensor(log_normalised(cells, TARGET_SUM)),
            perturbation=_tensor(parts.loc[labels]),
            controls=np.flatnonzero(labels == CONTROL),
        )


class LatentAdditive(nn.Module):
    """f(x, p) = softplus(decoder(encoder(x) + embedding(p))), with the expression x of a control cell."""

    def __init__(self, n_genes: int, n_parts: int, options: LatentAdditiveOptions):
        super().__init__()
        hidden = [options.n_hidden] * options.n_layers
        self.encoder = _network([n_genes, *hidden, options.n_latent])
        self.embedding = _network([n_parts, *hidden, options.n_latent])
        self.decoder = _network([options.n_latent, *hidden, n_genes])

    def begin_at(self, expression: Tensor) -> None:
        """Let the last layer predict this expression, one value per gene, where its inputs are 0."""
        above_0 = expression.clamp(min=1e-3)
        self.decoder[-1].bias.data = above_0 + torch.log(-torch.expm1(-above_0))  # the inverse of softplus

    def forward(self, control: Tensor, perturbation: Tensor) -> Tensor:
        """Predict the expression of perturbed cells, cells × genes, from as many control cells."""
        latents = self.encoder(control) + self.embedding(perturbation)
        return nn.functional.softplus(self.decoder(latents))


def train(
    model: LatentAdditive, training: Cells, validation: Cells, options: LatentAdditiveOptions, seed: int
) -> None:
    """Minimise the squared error of cells that are predicted from control cells, by Adam.

    Every cell is predicted from a control cell of the training part that is drawn anew in each epoch. The
    weights of the epoch with the least error of validation cells are kept, if there are any.

    Parameters
    ----------
    model
        Its weights are changed.
    training, validation
        Cells of these parts.
    options
        Of the training.
    seed
        Of the order of cells and of the control cells.
    """
    random = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    partners = training.expression[random.choice(training.controls, len(validation.expression))]
    least, best = np.inf, None
    for _ in range(options.max_epochs):
        order = random.permutation(len(training.expression))
        drawn = random.choice(training.controls, len(order))
        for first in range(0, len(order), options.batch_size):
            batch, controls = (places[first : first + options.batch_size] for places in (order, drawn))
            predicted = model(training.expression[controls], training.perturbation[batch])
            loss = nn.functional.mse_loss(predicted, training.expression[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if len(partners):
            with torch.no_grad():
                predicted = model(partners, validation.perturbation)
                error = float(nn.functional.mse_loss(predicted, validation.expression))
            if error < least:
                least, best = error, copy.deepcopy(model.state_dict())
    if best is not None:
        model.load_state_dict(best)


@torch.no_grad()
def expected_expression(model: LatentAdditive, controls: Tensor, perturbations: Tensor) -> np.ndarray:
    """Predict the mean expression of control cells, had they been given each perturbation.

    Parameters
    ----------
    model
        After its training.
    controls
        Expression of control cells, cells × genes.
    perturbations
        Perturbation × part, 0 or 1.

    Returns
    -------
    Perturbation × gene, counts of :data:`~svae.expression.TARGET_SUM`.
    """
    sums = []
    for perturbation in perturbations:
        chunks = (
            model(cells, perturbation.expand(len(cells), -1)).double()
            for cells in controls.split(CELLS_AT_ONCE)
        )
        sums.append(torch.stack([torch.expm1(chunk).sum(dim=0) for chunk in chunks]).sum(dim=0))
    return torch.stack(sums).numpy() / len(controls)


def _network(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _tensor(table: pd.DataFrame) -> Tensor:
    return torch.as_tensor(table.to_numpy(dtype=np.float32))
