"""Cells that a trained model draws."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse

from svae.models.model import PerturbationModel


@torch.no_grad()
def draw_counts(
    model: PerturbationModel, perturbations: Sequence[str], n_cells: int, seed: int
) -> sparse.csr_matrix:
    """Draw counts of cells of some perturbations.

    z ~ p(z | perturbation), and x ~ negative binomial with mean library · softmax(f(z, batch)). Library and
    batch of each cell are those of an unperturbed cell of the data that the model was built on, drawn with
    replacement; of any cell, if none is unperturbed.

    Parameters
    ----------
    model
        Trained. A perturbation neither trained nor adapted to has no shift, and no code.
    perturbations
        Labels, one label any number of times.
    n_cells
        Cells of each label.
    seed
        Of latents, libraries and counts.

    Returns
    -------
    Cells × genes, `n_cells` rows for each label in turn.
    """
    labels = model.reader.perturbation(model.adata)
    unperturbed = np.flatnonzero(labels == model.control_)
    cells, _ = model.read_cells(indices=unperturbed if len(unperturbed) else None)
    libraries = cells.x.sum(-1, keepdim=True)
    dispersion = model.module.bounded_log_dispersion().exp().double().cpu().numpy()
    model.module.eval()
    random = np.random.default_rng(seed)
    counts = []
    for of_one in model.known_of(np.asarray(perturbations)):
        known = of_one.expand(n_cells, -1)
        like = torch.as_tensor(random.integers(len(cells), size=n_cells), device=known.device)
        noise = random.standard_normal((n_cells, model.n_latent), dtype=np.float32)
        z = model.module.prior_mean(known) + torch.as_tensor(noise, device=known.device)
        mean = libraries[like] * torch.softmax(model.module.decode(z, cells.batch[like], known), -1)
        rates = random.gamma(dispersion, mean.double().cpu().numpy() / dispersion)
        counts.append(sparse.csr_matrix(random.poisson(rates).astype(np.float32)))
    return sparse.vstack(counts, format="csr")
