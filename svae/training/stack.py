"""The state of a fleet: many modules of one shape, called as one."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils._pytree import tree_map

from svae.training.module import FleetModule, Noise


@dataclass
class Snapshot:
    """A copy of all weights and buffers of a stack; one row per module."""

    weights: Tensor
    buffers: dict[str, Tensor]


class Stack:
    """R modules of one shape, their parameters the rows of a matrix.

    An optimiser that works on rows of one matrix has R parameters to visit, not R times those of a module.
    Vectors come first in a row, then weight matrices, then mask logits: three pieces that an optimiser may
    treat differently.

    Parameters
    ----------
    modules
        The R modules. :meth:`unload` writes back what they have become.

    Attributes
    ----------
    matrix
        R × (number of parameters of a module); steps are taken in place.
    matrix_names
        Names of the weight matrices.
    n_vectors, n_weights
        Where in a row the weight matrices begin, and where the masks.
    parameters
        Views of the matrix by name, R × shape: the leaves of the graph.
    buffers
        Buffers by name, R × shape.
    """

    def __init__(self, modules: Sequence[FleetModule]):
        self.modules = cast(Sequence[nn.Module], modules)
        shapes = {name: p.shape for name, p in self.modules[0].named_parameters()}
        self.matrix_names = [name for name in shapes if name in modules[0].matrix_names]
        masks = {name: shape for name, shape in shapes.items() if name in modules[0].mask_names}
        matrices = {name: shapes[name] for name in self.matrix_names}
        vectors = {name: shape for name, shape in shapes.items() if name not in masks | matrices}
        self.shapes = vectors | matrices | masks
        self.n_vectors = sum(shape.numel() for shape in vectors.values())
        self.n_weights = self.n_vectors + sum(shape.numel() for shape in matrices.values())
        self.matrix, self.buffers = self._read()
        self.parameters = self.views(self.matrix)
        for leaf in self.parameters.values():
            leaf.requires_grad_()
        # Skeletons without storage: only their code is used, their state comes from the stack.
        skeleton = copy.deepcopy(self.modules[0]).to("meta")
        self._objective = _Method(skeleton.train(), "objective")
        self._negative_elbo = _Method(copy.deepcopy(skeleton).eval(), "negative_elbo")

    def __len__(self) -> int:
        return len(self.modules)

    def _read(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Stack what the modules hold now: the matrix of parameters, and the buffers."""
        parameters, buffers = stack_module_state(list(self.modules))
        return torch.cat([parameters[name].detach().flatten(1) for name in self.shapes], dim=1), buffers

    @property
    def is_alone(self) -> bool:
        """Whether to call the module as it is: under vmap, a step of a single one takes 1.6 times as long.

        So says ``benchmarks/speed.py``, *fleet of 1, under vmap*.
        """
        return len(self) == 1

    def views(self, matrix: Tensor) -> dict[str, Tensor]:
        """Views of a matrix of the same form as this one's: by name, R × shape."""
        parts = matrix.split([shape.numel() for shape in self.shapes.values()], dim=1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(len(matrix), *shape) for (name, shape), part in named}

    def objective(self, cells: tuple[Tensor, ...], noise: Noise, kl_weight: float, n_cells: int) -> Tensor:
        """Loss of each module on its own cells, R × batch, with its own noise; shape R."""
        return self._call(self._objective, cells, noise, kl_weight, n_cells)

    @torch.no_grad()
    def negative_elbo(self, cells: tuple[Tensor, ...], noise: Noise) -> Tensor:
        """Mean −ELBO of each module, in evaluation mode; shape R."""
        return self._call(self._negative_elbo, cells, noise)

    def _call(self, method: "_Method", cells: tuple[Tensor, ...], noise: Noise, *shared) -> Tensor:
        def one(state, cells, noise):
            return functional_call(method, state, (*cells, noise, *shared))

        state = {f"module.{name}": values for name, values in (self.parameters | self.buffers).items()}
        if self.is_alone:
            return one(*tree_map(_only, (state, cells, dict(noise))))[None]
        return torch.vmap(one)(state, cells, noise)

    def snapshot(self) -> Snapshot:
        """Copy the state of all modules."""
        buffers = {name: values.clone() for name, values in self.buffers.items()}
        return Snapshot(self.matrix.detach().clone(), buffers)

    def copy_into(self, snapshot: Snapshot, rows: Sequence[int]) -> None:
        """Overwrite some modules of a snapshot with what they are now."""
        rows = list(rows)
        snapshot.weights[rows] = self.matrix.detach()[rows]
        for name, values in snapshot.buffers.items():
            values[rows] = self.buffers[name][rows]

    def unload(self, snapshot: Snapshot) -> None:
        """Give each module its own state back, as if it had been trained alone."""
        parameters = self.views(snapshot.weights)
        for r, module in enumerate(self.modules):
            state = {name: values[r] for name, values in (parameters | snapshot.buffers).items()}
            module.load_state_dict(state)

    def reload(self) -> None:
        """Take over what was changed in the modules themselves."""
        matrix, self.buffers = self._read()
        with torch.no_grad():
            self.matrix.copy_(matrix)


class _Method(nn.Module):
    """A method of a module as a ``forward``, which is what ``functional_call`` calls."""

    def __init__(self, module: nn.Module, method: str):
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *arguments) -> Tensor:
        return getattr(self.module, self.method)(*arguments)


def _only(tensor: Tensor) -> Tensor:
    """Take the only module's part of a stacked tensor, as a view."""
    return tensor.squeeze(0)
