"""The discrepancy-VAE: perturbations are steps on a causal graph of latents, learnt without paired cells."""

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from svae.contracts.combinations import multi_hot, sums_of_parts
from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, combinations_of_trained, seen_cells, trained_perturbations
from svae.expression import TARGET_SUM, log_normalised
from svae.methods.factors.fit import any_part
from svae.methods.kept import keep
from svae.methods.options import DiscrepancyVAEOptions, chosen_options
from svae.methods.steps import CELLS_AT_ONCE, profiles_after_steps
from svae.models.independence import squared_distances
from svae.models.module import kl_to_prior
from svae.seeds import seed_from
from svae.words import CONTROL, Basis

KERNELS = 10
"""Gaussian kernels that the maximum mean discrepancy adds up; each is twice as wide as the one before."""

SLOPE = 0.2
"""Slope of all LeakyReLUs below zero."""

ADAPTATION_STEPS, ADAPTATION_RATE = 200, 0.05
"""How the step of a held-out perturbation is fitted, by Adam."""


def fit_discrepancy_vae(
    dataset: ad.AnnData, split: pd.DataFrame, setting: Setting, model_folder: Path | None = None
) -> Fit:
    """Train on the part ``train``, and fit the steps of held-out perturbations to the part ``adapt``.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.DiscrepancyVAEOptions`.
    model_folder
        Where to keep the trained network (:mod:`svae.methods.kept`); None keeps none.

    Returns
    -------
    Fit
        Latents, targets, shifts (the steps) and predictions; those of a combination add up. `not_applicable`
        if no control cells are trained on, and `diverged` if a number is not finite.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range.
    """
    options: DiscrepancyVAEOptions = chosen_options("discrepancy_vae", setting)
    labels, seen, adapt = cells_of(split, "train"), seen_cells(split), cells_of(split, "adapt")
    if CONTROL not in set(labels):
        message = "it moves control cells, and there are no control cells to train on"
        return Fit.missing(dataset.obs_names, setting, "not_applicable", message)
    expression = torch.as_tensor(log_normalised(dataset, TARGET_SUM))
    trained, controls = trained_perturbations(split).sort_values(), seen[seen == CONTROL]
    design = multi_hot([CONTROL, *trained])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(setting.seed, "weights"))
        model = DiscrepancyVAE(dataset.n_vars, design.shape[1], options)
    groups = {name: _rows(expression, dataset, cells) for name, cells in labels.groupby(labels.to_numpy())}
    train(model, Draws(seed_from(setting.seed, "training"), groups.pop(CONTROL)), groups, design, options)
    draws = Draws(seed_from(setting.seed, "adaptation"), _rows(expression, dataset, controls))
    adapted = {
        name: adapted_step(model, draws, _rows(expression, dataset, cells), options)
        for name, cells in adapt.groupby(adapt.to_numpy())
    }

    with torch.no_grad():
        latents = torch.cat([model.encode(x)[0] for x in expression.split(CELLS_AT_ONCE)]).numpy()
        targets_of_parts, steps_of_parts = (part.numpy() for part in model.parts(options.temperature))
    names = [f"z{j + 1}" for j in range(options.n_latent)]
    of_parts = pd.DataFrame(steps_of_parts, design.columns, names)
    shifts = sums_of_parts(trained, of_parts)
    steps: dict[Basis, pd.DataFrame] = {
        "adapted": pd.DataFrame.from_dict(adapted, "index", columns=names),
        "combination": sums_of_parts(combinations_of_trained(split), of_parts),
    }
    shifts = pd.concat([shifts, steps["adapted"]])
    steps = {basis: table for basis, table in steps.items() if len(table)}
    of_control = latents[dataset.obs_names.get_indexer(controls.index)]
    predictions = profiles_after_steps(model.decode, of_control, steps, dataset, controls)
    found = (latents, shifts.to_numpy(), *(table.to_numpy() for table in predictions.values()))
    if not all(np.isfinite(values).all() for values in found):
        message = "latents, shifts or predictions are not finite"
        return Fit.missing(dataset.obs_names, setting, "diverged", message)
    if model_folder is not None:
        keep(model, model_folder, "discrepancy_vae", options, dataset.var_names, design.columns)
    targets = any_part(design.loc[trained].to_numpy(), targets_of_parts)
    return Fit(
        cells=dataset.obs_names,
        latents=latents,
        targets=pd.DataFrame(targets.clip(0, 1), trained, names),
        shifts=shifts,
        predictions=predictions or None,
        run=Run(setting=setting.name, seed=setting.seed),
    )


class DiscrepancyVAE(nn.Module):
    """A VAE of control cells, u = (z + step) (I − G)⁻¹, whose latents u follow a linear causal graph G.

    Parameters
    ----------
    n_genes
        Number of genes.
    n_parts
        Number of perturbations that are no combinations.
    options
        Widths of the networks.

    Attributes
    ----------
    edges
        Effects of latents on later ones; only the entries above the diagonal count.
    strength
        Size w of the step of each part.
    """

    def __init__(self, n_genes: int, n_parts: int, options: DiscrepancyVAEOptions):
        super().__init__()
        hidden, n_latent = options.n_hidden, options.n_latent
        self.encoder = nn.Sequential(nn.Linear(n_genes, hidden), nn.LeakyReLU(SLOPE))
        self.posterior = nn.Linear(hidden, 2 * n_latent)  # means, then variances before the softplus
        self.target_logit = nn.Sequential(
            nn.Linear(n_parts, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, n_latent)
        )
        self.strength = nn.Parameter(torch.ones(n_parts))
        self.edges = nn.Parameter(torch.zeros(n_latent, n_latent))
        self.decoder = nn.Sequential(
            nn.Linear(n_latent, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, n_genes), nn.LeakyReLU(SLOPE)
        )

    def encode(self, expression: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the posterior of z, both cells × latents."""
        mean, variance = self.posterior(self.encoder(expression)).chunk(2, -1)
        return mean, nn.functional.softplus(variance).clamp(min=1e-8).sqrt()

    def decode(self, z: Tensor) -> Tensor:
        """Log-normalised expression, cells × genes, of cells with exogenous latents z, steps included."""
        identity = torch.eye(len(self.edges))
        return self.decoder(torch.linalg.solve_triangular(identity - self.graph(), z, upper=True, left=False))

    def graph(self) -> Tensor:
        """Edges of the graph, strictly upper triangular, from latent (row) to latent (column)."""
        return self.edges.triu(1)

    def parts(self, temperature: float) -> tuple[Tensor, Tensor]:
        """Target probabilities and steps of the parts, both parts × latents."""
        targets = torch.softmax(temperature * self.target_logit(torch.eye(len(self.strength))), -1)
        return targets, self.strength[:, None] * targets


class Draws:
    """Random numbers of a training, and control cells by them.

    Parameters
    ----------
    seed
        Of everything drawn.
    controls
        Expression of the control cells, cells × genes.
    """

    def __init__(self, seed: int, controls: Tensor):
        self.generator = torch.Generator().manual_seed(seed)
        self.controls = controls

    def control_cells(self, n_cells: int) -> Tensor:
        """So many control cells, with replacement."""
        return self.controls[torch.randint(len(self.controls), (n_cells,), generator=self.generator)]

    def batches(self, cells: Tensor, size: int) -> Iterator[Tensor]:
        """All cells in a random order, at most `size` at a time."""
        yield from cells[torch.randperm(len(cells), generator=self.generator)].split(size)

    def latents(self, mean: Tensor, sd: Tensor) -> Tensor:
        """One draw of each cell's latents."""
        return mean + sd * torch.randn(mean.shape, generator=self.generator)


def train(
    model: DiscrepancyVAE,
    draws: Draws,
    groups: dict[str, Tensor],
    design: pd.DataFrame,
    options: DiscrepancyVAEOptions,
) -> None:
    """Minimise α · MMD² + squared error + β · KL + λ · sizes of edges, by Adam.

    A batch has cells of one perturbation and as many control cells. The control cells are reconstructed, and
    moved by the step of the perturbation to be compared with its cells.

    Parameters
    ----------
    model
        Its weights are changed.
    draws
        Random numbers, and control cells.
    groups
        Expression of the cells of each perturbation, cells × genes.
    design
        Perturbation × part, 0 or 1.
    options
        Of the training.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    parts = {name: torch.as_tensor(design.loc[name].to_numpy(np.float32)) for name in groups}
    for epoch in range(options.max_epochs):
        alpha, beta, temperature = schedule(epoch, options)
        batches = [(name, y) for name in parts for y in draws.batches(groups[name], options.batch_size)]
        for place in torch.randperm(len(batches), generator=draws.generator).tolist():
            name, y = batches[place]
            x = draws.control_cells(len(y))
            mean, sd = model.encode(x)
            z = draws.latents(mean, sd)
            moved = model.decode(z + parts[name] @ model.parts(temperature)[1])
            loss = alpha * discrepancy(moved, y, options.kernel_width)
            loss = loss + nn.functional.mse_loss(model.decode(z), x)
            loss = loss + beta * kl_to_prior(mean, sd, torch.zeros_like(mean)).mean()
            loss = loss + options.graph_penalty * model.graph().abs().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def schedule(epoch: int, options: DiscrepancyVAEOptions) -> tuple[float, float, float]:
    """Weights α and β and factor τ of an epoch.

    α is 0 in the first twentieth of the epochs, and largest after half of them. β is 0 in the first tenth,
    and largest at the end. τ rises from 1 all the time.
    """
    share = epoch / max(options.max_epochs - 1, 1)
    alpha = np.interp(share, [0.05, 0.5], [0, options.discrepancy_weight])
    beta = np.interp(share, [0.1, 1], [0, options.kl_weight])
    return float(alpha), float(beta), 1 + share * (options.temperature - 1)


def discrepancy(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Squared maximum mean discrepancy of two samples, a scalar.

    This is the biased estimate of Gretton et al. (2012).

    Parameters
    ----------
    a, b
        Cells × genes.
    width
        Of the kernels exp(−d² / (2ⁱ · width / 32)), i = 0, …, 9, of the distance d of two cells.
    """
    distances, n = squared_distances(torch.cat([a, b])), len(a)
    narrowest = width / 2 ** (KERNELS // 2)
    kernel = torch.stack([torch.exp(-distances / (2**i * narrowest)) for i in range(KERNELS)]).sum(0)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def adapted_step(
    model: DiscrepancyVAE, draws: Draws, cells: Tensor, options: DiscrepancyVAEOptions
) -> np.ndarray:
    """Step from control cells to those of a held-out perturbation under the frozen model, a value per latent.

    Its strength starts at 1 and at −1, as gradients lead from one sign to the other only through no step at
    all. The better end is kept.

    Parameters
    ----------
    model
        As trained.
    draws
        Random numbers, and control cells.
    cells
        Expression of the perturbed cells, cells × genes.
    options
        Of the training.
    """
    logit = torch.zeros(2, options.n_latent, requires_grad=True)
    strength = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    optimiser = torch.optim.Adam([logit, strength], lr=ADAPTATION_RATE)

    def losses(y: Tensor, temperature: float) -> Tensor:
        with torch.no_grad():
            z = draws.latents(*model.encode(draws.control_cells(len(y))))
        steps = strength * torch.softmax(temperature * logit, -1)
        return torch.stack([discrepancy(model.decode(z + step), y, options.kernel_width) for step in steps])

    for done in range(ADAPTATION_STEPS):
        temperature = 1 + done / (ADAPTATION_STEPS - 1) * (options.temperature - 1)
        y = next(draws.batches(cells, options.batch_size))
        logit.grad, strength.grad = torch.autograd.grad(losses(y, temperature).sum(), [logit, strength])
        optimiser.step()
    with torch.no_grad():
        best = losses(cells, options.temperature).argmin()
        return (strength * torch.softmax(options.temperature * logit, -1))[best].numpy()


def _rows(expression: Tensor, dataset: ad.AnnData, cells: pd.Series) -> Tensor:
    """Expression of some cells, given by name in the index of `cells`."""
    return expression[dataset.obs_names.get_indexer(cells.index)]
