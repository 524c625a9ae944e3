"""Train many modules at once: a fleet.

Modules of the size of the paper are tiny, so that a training step is almost all overhead. A fleet
stacks the parameters of R ordinary modules and runs the steps of all of them together under
``torch.func.vmap``, on data that lie on the device once. Afterwards each module holds its own
weights again, as if it had been trained alone: noise and the order of the data come from one
generator per replica, and nothing that one replica does (stopping, diverging) reaches another.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from svae.models.module import Noise, PerturbationVAE
from svae.models.priors import MaskedShift
from svae.training.cells import Cells
from svae.training.plan import TrainingPlan

Progress = Callable[[str], None]
NOISE_BLOCK = 32  # steps of noise drawn in one go: amortises the calls, and still fits the cache
VALIDATION_BATCH = 2048


@dataclass
class Training:
    """What became of one replica: its learning curve (one row per epoch), and whether it diverged."""

    history: list[dict[str, float]] = field(default_factory=list)
    diverged: bool = False
    best: float = float("inf")
    best_epoch: int = 0

    def table(self) -> pd.DataFrame:
        """Learning curve: epoch, train (loss), validation (−ELBO), all in nats per cell."""
        return pd.DataFrame(self.history, columns=["epoch", "train", "validation"])


def say(line: str) -> None:
    """Print a line of progress at once."""
    print(line, file=sys.stderr, flush=True)


def train(
    modules: Sequence[PerturbationVAE],
    seeds: Sequence[int],
    cells: Cells,
    training: np.ndarray,
    validation: np.ndarray,
    plan: TrainingPlan,
    learning_rates: Sequence[float] | None = None,
    fleet_size: int | None = None,
    progress: Progress = say,
) -> list[Training]:
    """Train `modules` in place, all of them at once.

    Parameters
    ----------
    modules
        R modules of one shape; they may differ in weights, penalty and β.
    seeds
        One seed per module, for its noise and the order of its data.
    cells
        All cells, on the device to train on.
    training, validation
        Indices of the cells to train on and to validate with (may be empty).
    plan
        The optimisation, shared by all modules.
    learning_rates
        One learning rate per module instead of the plan's.
    fleet_size
        Train at most so many at a time, for when memory is short.
    progress
        Takes one line per report.

    Returns
    -------
    list[Training]
        One per module. A module that met a NaN is marked `diverged` and keeps its last weights.
    """
    torch.set_flush_denormal(True)  # Adam's second moments of idle weights decay into slow numbers
    plan = plan.per_cell(len(training))
    rates = list(learning_rates or [plan.learning_rate] * len(modules))
    size = fleet_size or len(modules)
    results: list[Training] = []
    for start in range(0, len(modules), size):
        part = slice(start, start + size)
        fleet = _Fleet(modules[part], seeds[part], rates[part], cells, plan)
        results += fleet.run(training, validation, progress)
    return results


class _Objective(nn.Module):
    """Loss of a batch as a ``forward``, which is what ``functional_call`` calls."""

    def __init__(self, module: PerturbationVAE):
        super().__init__()
        self.module = module

    def forward(self, cells: tuple, noise: Noise, kl_weight: float, n_cells: int) -> Tensor:
        x, perturbation, batch = cells
        return self.module.objective(x, perturbation, batch, noise, kl_weight, n_cells)


class _NegativeElbo(_Objective):
    """Mean −ELBO of a batch (nats per cell), with the more probable masks."""

    def forward(self, cells: tuple, noise: Noise) -> Tensor:  # type: ignore[override]
        x, perturbation, batch = cells
        reconstruction, kl = self.module.elbo_terms(x, batch, self.module.prior.mean(perturbation), noise)
        return (reconstruction + kl).mean()


class _Fleet:
    """R modules as one: their parameters are the rows of a single matrix R × P."""

    def __init__(self, modules, seeds, rates, cells: Cells, plan: TrainingPlan):
        self.modules, self.plan, self.cells, self.device = list(modules), plan, cells, cells.x.device
        for module in self.modules:
            module.to(self.device).train()
        parameters, self.buffers = stack_module_state([_Objective(module) for module in self.modules])
        self.names, self.shapes = list(parameters), [p.shape for p in parameters.values()]
        self.sizes = [p[0].numel() for p in parameters.values()]
        self.flat = _matrix(parameters)
        self.gradient = torch.zeros_like(self.flat)
        self.parameters = self.named_views(self.flat)
        self.leaves = [leaf.requires_grad_() for leaf in self.parameters.values()]
        self.gradients = list(self.named_views(self.gradient).values())
        self.rates = rates
        masked = isinstance(self.modules[0].prior, MaskedShift)
        self.dense_epochs = round(plan.dense * plan.max_epochs) if masked else 0
        self.active = [True] * len(self.modules)
        self.adam = self._optimiser(moving_masks=self.dense_epochs == 0)
        # Skeletons without storage: only their code is used, their state comes from the stacks.
        skeleton = copy.deepcopy(self.modules[0]).to("meta")
        self.objective = _Objective(skeleton)
        self.negative_elbo = _NegativeElbo(copy.deepcopy(skeleton).eval())
        self.generators = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
        self.results = [Training() for _ in self.modules]

    def _optimiser(self, moving_masks: bool) -> torch.optim.Adam:
        """Adam over the rows of the matrix, the mask logits cut out of them.

        Replicas and masks may have learning rates of their own; otherwise the pieces are as long as can
        be, because the optimiser spends time on each.
        """
        are_masks = [name.endswith("prior.logit") for name in self.names]
        runs = groupby(zip(are_masks, self.sizes, strict=True), itemgetter(0))
        cuts = [(masks, sum(size for _, size in run)) for masks, run in runs]
        lengths = [length for _, length in cuts]
        mask_rate = self.plan.mask_learning_rate if moving_masks else 0.0
        self.pieces = [row.split(lengths) for row in self.flat]
        groups: dict[float, list[Tensor]] = {}
        for r, gradient in enumerate(self.gradient):
            for (masks, _), piece, own in zip(cuts, self.pieces[r], gradient.split(lengths), strict=True):
                piece.grad = own if self.active[r] else None
                rate = mask_rate if masks and mask_rate is not None else self.rates[r]
                groups.setdefault(rate, []).append(piece)
        return torch.optim.Adam(
            [{"params": pieces, "lr": rate, "full_rate": rate} for rate, pieces in groups.items()],
            eps=self.plan.eps,
            weight_decay=self.plan.weight_decay,
            fused=True,
        )

    def named_views(self, matrix: Tensor) -> dict[str, Tensor]:
        """Views of an R × P matrix: parameters by name, stacked, or of the only module as they are."""
        parts = matrix.split(self.sizes, dim=1)
        views = {n: p.view(s) for n, p, s in zip(self.names, parts, self.shapes, strict=True)}
        return _map(views, _first) if len(matrix) == 1 else views

    def call(self, function: nn.Module, cells: tuple, noise: Noise, *shared) -> Tensor:
        """Call `function` for every replica with its own state, cells and noise; shape R."""
        if len(self.modules) == 1:
            buffers, *alone = _map((self.buffers, cells, noise), _first)
            return functional_call(function, (self.parameters, buffers), (*alone, *shared))[None]

        def one(parameters, buffers, cells, noise):
            return functional_call(function, (parameters, buffers), (cells, noise, *shared))

        return torch.vmap(one)(self.parameters, self.buffers, cells, noise)

    def run(self, training: np.ndarray, validation: np.ndarray, progress: Progress) -> list[Training]:
        """Run the epochs, and give the modules their weights back."""
        kept = self.snapshot()
        noise = self._validation_noise(len(validation))
        self.validating = len(validation) > 0
        for epoch in range(1, self.plan.max_epochs + 1):
            if epoch == self.dense_epochs + 1 > 1:
                self._end_dense_epochs()
            train_loss = self.epoch(epoch, torch.as_tensor(training, device=self.device))
            validation_loss = self.validate(torch.as_tensor(validation, device=self.device), noise)
            self._copy_rows(kept, self._record(epoch, train_loss, validation_loss))
            progress(self._line(epoch, train_loss, validation_loss))
            if not any(self.active):
                progress(f"epoch {epoch}/{self.plan.max_epochs}: every replica has stopped")
                break
        self._unstack(kept)
        return self.results

    def epoch(self, epoch: int, training: Tensor) -> Tensor:
        """Train for one epoch; mean loss per cell of each replica."""
        size = self.plan.cells_per_step(len(training))
        n_steps = len(training) // size
        orders = torch.stack(
            [torch.randperm(len(training), generator=g, device=self.device) for g in self.generators]
        )
        orders = training[orders]
        warmup = self.plan.warmup_epochs
        kl_weight = min(1.0, (epoch - 1) / warmup) if warmup else 1.0
        total = torch.zeros(len(self.modules), device=self.device)
        for step, noise in zip(range(n_steps), self._noise(n_steps, size), strict=True):
            index = orders[:, step * size : (step + 1) * size]
            loss = self.call(self.objective, self.cells[index].tensors(), noise, kl_weight, len(training))
            self._step(loss.sum(), self._decayed(epoch - 1 + step / n_steps))
            total += loss.detach()
        return total / n_steps

    @torch.no_grad()
    def validate(self, validation: Tensor, noise: Tensor) -> Tensor:
        """Mean −ELBO per validation cell of each replica, with the same noise at every epoch."""
        if not len(validation):
            return torch.full((len(self.modules),), torch.nan, device=self.device)
        total = torch.zeros(len(self.modules), device=self.device)
        for start in range(0, len(validation), VALIDATION_BATCH):
            part = slice(start, start + VALIDATION_BATCH)
            index = validation[part].expand(len(self.modules), -1)
            losses = self.call(self.negative_elbo, self.cells[index].tensors(), {"z": noise[:, part]})
            total += losses * index.shape[1]
        return total / len(validation)

    def snapshot(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Copy of the weights and buffers of all replicas."""
        return self.flat.detach().clone(), {name: b.clone() for name, b in self.buffers.items()}

    def _noise(self, n_steps: int, size: int) -> Iterator[dict[str, Tensor]]:
        """Noise of each step, drawn in blocks and by each replica's own generator."""
        for start in range(0, n_steps, NOISE_BLOCK):
            n = min(NOISE_BLOCK, n_steps - start)
            draws = [m.draw_noise(n * size, g) for m, g in zip(self.modules, self.generators, strict=True)]
            block = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
            for step in range(n):
                yield {name: values[:, step * size : (step + 1) * size] for name, values in block.items()}

    def _validation_noise(self, n_cells: int) -> Tensor:
        shape = (n_cells, self.modules[0].prior.n_latent)
        return torch.stack([torch.randn(shape, generator=g, device=self.device) for g in self.generators])

    def _decayed(self, epochs_done: float) -> float:
        """Share of the learning rate that is left: 1, then a straight line towards 0."""
        if self.plan.decay == 0:
            return 1.0
        return min(1.0, (1 - epochs_done / self.plan.max_epochs) / self.plan.decay)

    def _step(self, loss: Tensor, decay: float) -> None:
        """Take one step of every replica that is still training."""
        for view, gradient in zip(self.gradients, torch.autograd.grad(loss, self.leaves), strict=True):
            view.copy_(gradient)
        for group in self.adam.param_groups:
            group["lr"] = group["full_rate"] * decay
        self.adam.step()

    def _end_dense_epochs(self) -> None:
        """Rotate the latents of each module to sparse shifts, and let the masks move from there.

        Adam starts anew, because its moments belong to the old axes.
        """
        self._unstack(self.snapshot())
        for active, module, generator in zip(self.active, self.modules, self.generators, strict=True):
            if active:
                module.rotate_to_sparse_shifts(generator.initial_seed())
        parameters, self.buffers = stack_module_state([_Objective(module) for module in self.modules])
        self.flat.copy_(_matrix(parameters))
        self.adam = self._optimiser(moving_masks=True)

    def _record(self, epoch: int, train_loss: Tensor, validation_loss: Tensor) -> list[int]:
        """Append to the learning curves, stop replicas that are done; return whose weights to keep."""
        keep = []
        losses = zip(train_loss.tolist(), validation_loss.tolist(), strict=True)
        for r, (result, (train, validation)) in enumerate(zip(self.results, losses, strict=True)):
            if not self.active[r]:
                continue
            result.history.append({"epoch": epoch, "train": train, "validation": validation})
            if not np.isfinite(train):
                result.diverged = True
                self._stop(r)
                continue
            if epoch <= self.dense_epochs:  # not yet the model that is asked for
                result.best_epoch = epoch
                keep.append(r)
                continue
            improved = validation < result.best or not self.validating
            if improved:
                result.best, result.best_epoch = validation, epoch
            if improved or self.plan.keep == "last":
                keep.append(r)
            if self.plan.patience is not None and epoch - result.best_epoch >= self.plan.patience:
                self._stop(r)
        return keep

    def _stop(self, replica: int) -> None:
        """Let a replica stand still: Adam passes over what has no gradient."""
        self.active[replica] = False
        for piece in self.pieces[replica]:
            piece.grad = None

    def _copy_rows(self, snapshot: tuple[Tensor, dict[str, Tensor]], rows: list[int]) -> None:
        flat, buffers = snapshot
        flat[rows] = self.flat.detach()[rows]
        for name, values in buffers.items():
            values[rows] = self.buffers[name][rows]

    def _line(self, epoch: int, train_loss: Tensor, validation_loss: Tensor) -> str:
        losses = (train_loss, validation_loss)
        train, validation = (f"{float(v.min()):.1f}–{float(v.max()):.1f}" for v in losses)
        running = f"{sum(self.active)}/{len(self.modules)} running"
        epochs = f"epoch {epoch}/{self.plan.max_epochs}"
        return f"{epochs}: loss {train}, validation {validation} nats/cell, {running}"

    def _unstack(self, state: tuple[Tensor, dict[str, Tensor]]) -> None:
        flat, buffers = state
        parts = dict(zip(self.names, torch.split(flat, self.sizes, dim=1), strict=True))
        shapes = dict(zip(self.names, self.shapes, strict=True))
        for r, module in enumerate(self.modules):
            own = {name: part[r].view(shapes[name][1:]) for name, part in parts.items()}
            own |= {name: values[r] for name, values in buffers.items()}
            _Objective(module).load_state_dict(own)
            module.eval()


def _matrix(parameters: dict[str, Tensor]) -> Tensor:
    """Stacked parameters as the rows of one matrix, R × P."""
    return torch.cat([p.detach().flatten(1) for p in parameters.values()], dim=1)


def _first(tensor: Tensor) -> Tensor:
    return tensor[0]


def _map(tree, function):
    """Apply `function` to the tensors of nested dicts and tuples."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        return tuple(_map(item, function) for item in tree)
    return {name: _map(item, function) for name, item in tree.items()}
