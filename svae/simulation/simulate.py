"""Simulated screens and their truth.

Every perturbation shifts one to three latents of a cell; a random network turns the latents into
expression rates and the rates into counts (Lopez et al. 2023, simulation experiments). The preset
``lopez2023`` draws what the code released with the paper draws, number by number. The preset ``corrected``
keeps the latents and mends what is unlike a screen: rates are normalised within a cell and multiplied by
the cell's library, targets differ from one another, and there are control cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import gammaln, logsumexp

from svae.contracts.dataset import validate_dataset
from svae.errors import BenchmarkError, unknown
from svae.simulation.presets import PRESETS
from svae.words import CONTROL

SLOPE = 0.2
"""Slope of the LeakyReLU below zero."""

_SIZES = ("perturbations", "cells_per_perturbation", "latents", "hidden", "genes")
_MAY_BE_ZERO = ("control_cells", "shift_sd", "library_sd")


@dataclass(frozen=True, eq=False)
class Generator:
    """The decoder of a simulator together with its likelihood p(x | z).

    Parameters
    ----------
    weights
        Four matrices, latents × hidden, hidden × hidden, hidden × hidden and hidden × genes; no bias,
        LeakyReLU after the first three.
    scale
        Standard deviation, over cells and genes, of the network's output when the data were drawn; the
        output is divided by it.
    log_normaliser
        One value per gene, to be subtracted from the log rate: log Σ_n exp(logit_ng) − log(depth) over the
        cells drawn (``lopez2023``). None: softmax over genes, times the library of the cell (``corrected``).
    dispersion
        Inverse dispersion of the negative binomial; None: Poisson.
    """

    weights: tuple[np.ndarray, ...]
    scale: float = 1.0
    log_normaliser: np.ndarray | None = None
    dispersion: float | None = None

    @property
    def latents(self) -> int:
        """Number of latents."""
        return self.weights[0].shape[0]

    @property
    def genes(self) -> int:
        """Number of genes."""
        return self.weights[-1].shape[1]

    def logits(self, z: np.ndarray) -> np.ndarray:
        """Run the network on `z` (… × latents); returns … × genes with the scale divided out."""
        h = z
        for weight in self.weights[:-1]:
            h = h @ weight
            # LeakyReLU: for a slope below one, the larger of the two lines.
            np.maximum(h, SLOPE * h, out=h)
        out = h @ self.weights[-1]
        out /= self.scale
        return out

    def log_rates(self, z: np.ndarray, library: np.ndarray | None = None) -> np.ndarray:
        """Log of the expected counts.

        Parameters
        ----------
        z
            Latents, … × latents.
        library
            Expected counts of each cell, shape …; needed if, and only if, `log_normaliser` is None.

        Returns
        -------
        … × genes, natural logarithm of counts.
        """
        out = self.logits(z)
        if self.log_normaliser is not None:
            out -= self.log_normaliser
            return out
        if library is None:
            raise BenchmarkError("library: this generator normalises within a cell, so each cell needs one")
        out -= logsumexp(out, axis=-1, keepdims=True)
        out += np.log(library)[..., None]
        return out

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        """Return ∂ log rate / ∂ z at `z` (cells × latents) as cells × latents × genes.

        The network is piecewise linear: within a piece its Jacobian is the product of the weights, with the
        rows of closed units scaled by the slope.
        """
        h, product = z, np.broadcast_to(np.eye(self.latents), (len(z), self.latents, self.latents))
        for weight in self.weights[:-1]:
            h = h @ weight
            slopes = np.where(h > 0, 1.0, SLOPE)
            h = h * slopes
            product = (product @ weight) * slopes[:, None, :]
        product = product @ self.weights[-1] / self.scale
        if self.log_normaliser is not None:
            return product
        logits = self.logits(z)
        shares = np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))
        return product - product @ shares[:, :, None]

    def log_likelihood(self, counts: np.ndarray, log_rates: np.ndarray) -> np.ndarray:
        """Log p(counts | log rates) in nats, summed over genes, log x! included.

        Both arguments are … × genes and broadcast against one another; the result has the shape ….
        """
        constant = -gammaln(counts + 1.0).sum(axis=-1)
        linear = np.einsum("...g,...g->...", counts, log_rates)
        if self.dispersion is None:
            with np.errstate(over="ignore"):  # a rate beyond all bounds has likelihood zero, as it should
                return constant + linear - np.exp(log_rates).sum(axis=-1)
        theta = self.dispersion
        constant = constant + (gammaln(counts + theta) - gammaln(theta) + theta * np.log(theta)).sum(axis=-1)
        log_total = np.logaddexp(np.log(theta), log_rates)
        return constant + linear - np.einsum("...g,...g->...", counts + theta, log_total)

    def score(self, counts: np.ndarray, log_rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the log-likelihood in the log rates, and its Fisher information, both … × genes."""
        rates = np.exp(log_rates)
        if self.dispersion is None:
            return counts - rates, rates
        shrinkage = 1.0 / (1.0 + rates / self.dispersion)
        return (counts - rates) * shrinkage, rates * shrinkage

    def sample(self, log_rates: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Draw integer counts of the shape of `log_rates`."""
        rates = np.exp(log_rates)
        if self.dispersion is not None:
            # A negative binomial is a Poisson whose rate is drawn from a gamma.
            rates = random.gamma(self.dispersion, rates / self.dispersion)
        return random.poisson(rates)

    def to_dict(self) -> dict[str, Any]:
        """Arrays and numbers only, so that an h5ad file can hold it in ``uns``; what is None is left out."""
        stored: dict[str, Any] = {f"W{i}": weight for i, weight in enumerate(self.weights, start=1)}
        stored["scale"] = self.scale
        if self.log_normaliser is not None:
            stored["log_normaliser"] = self.log_normaliser
        if self.dispersion is not None:
            stored["dispersion"] = self.dispersion
        return stored

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Generator":
        """Undo :meth:`to_dict`; a :class:`BenchmarkError` names a missing entry."""
        for key in ("W1", "W2", "W3", "W4", "scale"):
            if key not in stored:
                raise BenchmarkError(f'uns["generator"]["{key}"] is missing')
        normaliser, dispersion = stored.get("log_normaliser"), stored.get("dispersion")
        return cls(
            weights=tuple(np.asarray(stored[f"W{i}"], dtype=float) for i in (1, 2, 3, 4)),
            scale=float(stored["scale"]),
            log_normaliser=None if normaliser is None else np.asarray(normaliser, dtype=float),
            dispersion=None if dispersion is None else float(dispersion),
        )


class Simulation(NamedTuple):
    """What a method may see, and what only the evaluation may."""

    dataset: ad.AnnData
    truth: ad.AnnData


def simulate(preset: str = "lopez2023", seed: int = 0, **parameters: Any) -> Simulation:
    """Draw a screen and its truth (Lopez et al. 2023, simulation experiments).

    With K perturbations and p latents: perturbation k has one, two or three targets, equally likely; its
    shift m_k is ± Normal(5, 0.5²) on its targets and 0 elsewhere; z ~ Normal(m_k, I);
    x_g ~ Poisson(rate_g(z)), or a negative binomial. `lopez2023` draws targets with replacement, so that a
    perturbation may end up with fewer. Cells come in random order.

    Parameters
    ----------
    preset
        One of :data:`svae.simulation.presets.PRESETS`.
    seed
        Seed of numpy's legacy generator, whose stream is frozen: the same numbers in every version.
    **parameters
        Override the preset's; see :data:`svae.simulation.presets.PRESETS` for names, defaults and units.

    Returns
    -------
    dataset
        Counts, cells × genes, labels ``p00``, ``p01``, … in ``obs["perturbation"]``, and ``control``.
    truth
        The same cells without counts: ``obsm["latents"]`` (cells × latents, float32), ``uns["targets"]``
        (0/1) and ``uns["shifts"]`` (perturbation × latent; zero for ``control``), ``uns["generator"]`` (a
        :class:`Generator` as a dictionary) and, where cells have one, ``obs["library"]`` (expected counts).

    Raises
    ------
    BenchmarkError
        For an unknown preset or parameter, or a value out of range.
    """
    setting = _setting(preset, parameters)
    random = np.random.RandomState(seed)
    corrected = preset == "corrected"

    labels = _labels(setting["perturbations"])
    targets, shifts = _draw_shifts(setting, random, with_replacement=not corrected)
    drawn = np.repeat(np.arange(len(labels)), setting["cells_per_perturbation"])
    if setting.get("control_cells", 0):
        labels = [*labels, CONTROL]
        targets, shifts = (np.vstack([table, np.zeros_like(table[:1])]) for table in (targets, shifts))
        drawn = np.append(drawn, np.full(setting["control_cells"], len(labels) - 1))
    z = shifts[drawn] + random.standard_normal((len(drawn), setting["latents"]))

    weights = _draw_weights(setting, random)
    logits = Generator(weights).logits(z)
    scale = float(np.std(logits))
    library = None
    if corrected:
        generator = Generator(weights, scale, dispersion=setting["dispersion"])
        library = _draw_libraries(setting, len(z), random)
    else:
        normaliser = logsumexp(logits / scale, axis=0) - np.log(setting["depth"])
        generator = Generator(weights, scale, normaliser)
    counts = generator.sample(generator.log_rates(z, library), random)
    order = random.permutation(len(z))

    obs = pd.DataFrame(
        {"perturbation": pd.Categorical.from_codes(drawn[order], categories=labels)},
        index=[f"cell{i}" for i in range(len(z))],
    )
    dataset = ad.AnnData(
        X=sparse.csr_matrix(counts[order].astype(np.int32)),
        obs=obs,
        var=pd.DataFrame(index=[f"gene{g}" for g in range(setting["genes"])]),
    )
    dataset.uns["dataset"] = {
        "name": f"simulated_{preset}",
        "source": f"svae.simulation.simulate.simulate, preset {preset}, seed {seed}",
        "citation": "Lopez et al., CLeaR 2023",
        "licence": "none (simulated)",
    }
    validate_dataset(dataset, f"simulation '{preset}'")

    truth = ad.AnnData(obs=pd.DataFrame(index=obs.index))
    if library is not None:
        truth.obs["library"] = library[order]
    truth.obsm["latents"] = z[order].astype(np.float32)
    columns = [f"z{j}" for j in range(1, setting["latents"] + 1)]
    truth.uns["targets"] = pd.DataFrame(targets.astype(int), index=labels, columns=columns)
    truth.uns["shifts"] = pd.DataFrame(shifts, index=labels, columns=columns)
    truth.uns["generator"] = generator.to_dict()
    return Simulation(dataset, truth)


def _setting(preset: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of `preset` overridden by `parameters`, checked."""
    where = f"simulation '{preset}'"
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS, "simulation")
    for name, value in parameters.items():
        if name not in PRESETS[preset]:
            raise unknown("parameter", name, PRESETS[preset], where)
        if name == "dispersion" and value is None:
            continue
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not np.isfinite(value):
            raise BenchmarkError(f"{where}: {name} is {value!r}, but must be a number")
        if name in (*_SIZES, "control_cells") and value != int(value):
            raise BenchmarkError(f"{where}: {name} is {value}, but must be a whole number")
        if value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
            raise BenchmarkError(f"{where}: {name} is {value}, but must be positive")
    setting = {**PRESETS[preset], **parameters}
    setting |= {name: int(setting[name]) for name in (*_SIZES, "control_cells") if name in setting}
    for smaller, larger in (("latents", "hidden"), ("hidden", "genes")):
        if setting[smaller] > setting[larger]:
            # Only then is every layer injective, so that the latents can be told from the rates.
            raise BenchmarkError(
                f"{where}: {smaller} ({setting[smaller]}) must not exceed {larger} ({setting[larger]})"
            )
    return setting


def _labels(perturbations: int) -> list[str]:
    """Return ``p00``, ``p01``, …: zero-padded, so that sorted names are in order."""
    width = len(str(perturbations - 1))
    return [f"p{k:0{width}d}" for k in range(perturbations)]


def _draw_shifts(
    setting: Mapping[str, Any], random: np.random.RandomState, with_replacement: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Targets (0/1) and shifts, both perturbations × latents."""
    shape = (setting["perturbations"], setting["latents"])
    targets = np.zeros(shape)
    for row in targets:
        # A screen with fewer than three latents cannot have three different targets.
        n_targets = random.choice([1, 2, 3])
        if not with_replacement:
            n_targets = min(n_targets, shape[1])
        row[random.choice(shape[1], n_targets, replace=with_replacement)] = 1.0
    signs = np.where(random.uniform(size=shape) > 0.5, 1.0, -1.0)
    sizes = random.normal(setting["shift_mean"], setting["shift_sd"], size=shape)
    return targets, np.where(targets > 0, signs * sizes, 0.0)


def _draw_weights(setting: Mapping[str, Any], random: np.random.RandomState) -> tuple[np.ndarray, ...]:
    """Draw orthonormal rows, scaled as by Glorot & Bengio (2010) and, for the LeakyReLU, He et al. (2015)."""
    sizes = (setting["latents"], setting["hidden"], setting["hidden"], setting["hidden"], setting["genes"])
    weights = []
    for fan_in, fan_out in pairwise(sizes):
        orthonormal = np.linalg.qr(random.normal(size=(fan_in, fan_out)).T)[0].T
        weights.append(orthonormal * np.sqrt(2 / (1 + SLOPE**2)) * np.sqrt(2 / (fan_in + fan_out)))
    return tuple(weights)


def _draw_libraries(setting: Mapping[str, Any], cells: int, random: np.random.RandomState) -> np.ndarray:
    """Draw the expected counts of each cell: log-normal with the mean and standard deviation asked for."""
    variance = np.log1p((setting["library_sd"] / setting["library_mean"]) ** 2)
    return random.lognormal(np.log(setting["library_mean"]) - variance / 2, np.sqrt(variance), size=cells)
