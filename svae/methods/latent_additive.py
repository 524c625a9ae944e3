"""The latent additive model: an embedding of the perturbation is added to the latents of control cells."""

import copy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

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
from svae.expression import TARGET_SUM, log_normalised
from svae.methods.additive import nothing_to_add_up
from svae.methods.kept import keep
from svae.methods.options import LatentAdditiveOptions, chosen_options
from svae.methods.steps import CELLS_AT_ONCE, profiles_after_steps
from svae.seeds import seed_from
from svae.words import CONTROL


def fit_latent_additive(
    dataset: ad.AnnData, split: pd.DataFrame, setting: Setting, model_folder: Path | None = None
) -> Fit:
    """Train on single perturbations and trained combinations, and predict held-out combinations.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.LatentAdditiveOptions`.
    model_folder
        Where to keep the trained network (:mod:`svae.methods.kept`); None keeps none.

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
    of_control, steps = steps_from_control(model, training, parts.loc[[CONTROL, *combinations]])
    controls = seen[seen == CONTROL]
    predictions = profiles_after_steps(model.decode, of_control, {"combination": steps}, dataset, controls)
    if not np.isfinite(predictions["combination"]).all(axis=None):
        return Fit.missing(dataset.obs_names, setting, "diverged", "predictions are not finite")
    if model_folder is not None:
        keep(model, model_folder, "latent_additive", options, dataset.var_names, parts.columns)
    run = Run(setting=setting.name, seed=setting.seed)
    return Fit(dataset.obs_names, predictions=predictions, run=run)


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
        return self.decode(self.encoder(control) + self.embedding(perturbation))

    def decode(self, latents: Tensor) -> Tensor:
        """Predict the expression of cells, cells × genes, from their latents."""
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
def steps_from_control(
    model: LatentAdditive, training: Cells, parts: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Tell where control cells are in latent space, and which step each perturbation is from there.

    Parameters
    ----------
    model
        After its training.
    training
        Cells that it was trained on.
    parts
        Perturbation × part, 0 or 1; the first row is the control.

    Returns
    -------
    Latents of the control cells, cells × latents; and the steps of the other rows, perturbation × latent.
    """
    pieces = training.expression[training.controls].split(CELLS_AT_ONCE)
    embedded = model.embedding(_tensor(parts))
    of_control = torch.cat([model.encoder(cells) for cells in pieces]) + embedded[0]
    return of_control.numpy(), pd.DataFrame((embedded[1:] - embedded[0]).numpy(), parts.index[1:])


def _network(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _tensor(table: pd.DataFrame) -> Tensor:
    return torch.as_tensor(table.to_numpy(dtype=np.float32))
