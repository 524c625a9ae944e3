"""scGen: a perturbation is a step in latent space, the same for all cells (Lotfollahi et al. 2019)."""

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from svae.contracts.combinations import parts_of
from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, combinations_of_trained, seen_cells
from svae.expression import TARGET_SUM, profile, pseudobulk
from svae.methods.autoencoder import CELLS_AT_ONCE, Autoencoder, plan_of, train
from svae.methods.options import ScGenOptions
from svae.models.module import Hidden, kl_to_prior
from svae.options import checked
from svae.seeds import seed_from
from svae.training.module import Noise
from svae.words import CONTROL, Basis


class ScGen(Autoencoder):
    """A variational auto-encoder of log-normalised expression, with a Gaussian likelihood of variance 1.

    Parameters
    ----------
    n_genes
        Number of genes.
    options
        Widths, dropout, and the weight of the KL divergence.
    """

    def __init__(self, n_genes: int, options: ScGenOptions):
        super().__init__()
        self.options = options
        shape = (options.n_hidden, options.n_layers)
        self.encoder = Hidden(n_genes, *shape, dropout_rate=options.dropout_rate, slope=0.01)
        self.posterior = nn.Linear(options.n_hidden, 2 * options.n_latent)  # means, then log variances
        self.decoder = Hidden(options.n_latent, *shape, dropout_rate=options.dropout_rate, slope=0.01)
        self.expression = nn.Linear(options.n_hidden, n_genes)

    def draw_validation_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw standard normal noise of the latents of `n_cells`: ``z``, cells × latents."""
        shape = (n_cells, self.options.n_latent)
        return {"z": torch.randn(shape, generator=generator, device=generator.device)}

    def draw_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw ``z``, and what dropout needs of encoder and decoder, uniform, cells × layers × hidden."""
        noise = self.draw_validation_noise(n_cells, generator)
        shape = (n_cells, self.options.n_layers, self.options.n_hidden)
        for network in ("encoder", "decoder"):
            noise[network] = torch.rand(shape, generator=generator, device=generator.device)
        return noise

    def losses(self, x: Tensor, noise: Noise) -> Tensor:
        """½ squared error + ½ weight · KL divergence of each cell."""
        expression = log_expression(x)
        mean, log_variance = self.posterior(self.encoder(expression, keep=noise.get("encoder"))).chunk(2, -1)
        sd = (log_variance / 2).exp()
        decoded = self.decode(mean + sd * noise["z"], noise.get("decoder"))
        kl = kl_to_prior(mean, sd, torch.zeros_like(mean))
        return 0.5 * ((expression - decoded).square().sum(-1) + self.options.kl_weight * kl)

    def encode(self, x: Tensor) -> Tensor:
        """Posterior mean of the latents of each cell, cells × latents."""
        return self.posterior(self.encoder(log_expression(x))).chunk(2, -1)[0]

    def decode(self, z: Tensor, keep: Tensor | None = None) -> Tensor:
        """Log-normalised expression, cells × genes."""
        return self.expression(self.decoder(z, keep=keep))

    @torch.no_grad()
    def profile_after(self, step: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Profile of cells with these latents after a step, one value per gene."""
        moved = torch.as_tensor(latents + step, dtype=torch.float32)
        decoded = torch.cat([self.decode(z) for z in moved.split(CELLS_AT_ONCE)]).double()
        expected = torch.expm1(decoded.clamp(min=0)).mean(0, keepdim=True).clamp(min=1e-12)
        return profile(expected.numpy())[0]


def log_expression(x: Tensor) -> Tensor:
    """log(1 + 10,000 · share of the gene in the counts of the cell), cells × genes."""
    return torch.log1p(TARGET_SUM * x / x.sum(-1, keepdim=True).clamp(min=1))


def fit_scgen(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting, accelerator: str = "auto") -> Fit:
    """Train on the part ``train``, and predict by arithmetic with mean latents.

    The step of a perturbation is the mean of the latents of its cells less that of the control cells. The
    prediction is the profile of the control cells, changed by what that step changes in the decoder's output
    for them; that of a combination takes the steps of all its parts.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.ScGenOptions`.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.

    Returns
    -------
    Fit
        Latents, shifts (the steps) and predictions; `not_applicable` without control cells, and `diverged` if
        the loss became NaN.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range.
    """
    options = checked(ScGenOptions, setting.options, f"method 'scgen', setting '{setting.name}'")
    run = Run(setting=setting.name, seed=setting.seed)
    seen = seen_cells(split)
    if CONTROL not in set(seen):
        message = "it steps away from control cells, and there are no control cells"
        return Fit.failed(dataset.obs_names, "not_applicable", message, setting=run.setting, seed=run.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(setting.seed, "weights"))
        module = ScGen(dataset.n_vars, options)
    done = train(module, dataset, split, plan_of(options.model_dump()), setting.seed, accelerator)
    if done.diverged:
        message = f"the loss became NaN in epoch {len(done.history)}"
        return Fit.failed(dataset.obs_names, "diverged", message, setting=run.setting, seed=run.seed)
    latents = pd.DataFrame(module.latents(dataset), dataset.obs_names)
    latents.columns = [f"z{j + 1}" for j in range(latents.shape[1])]
    of_control = latents.loc[seen.index[seen == CONTROL]]
    steps = latents.loc[seen.index].groupby(seen.to_numpy()).mean() - of_control.mean()
    return Fit(
        cells=dataset.obs_names,
        latents=latents.to_numpy(),
        shifts=steps.rename_axis("perturbation"),
        predictions=_predictions(module, latents, steps, dataset, split),
        history=done.table(),
        run=run,
    )


def _predictions(
    module: ScGen, latents: pd.DataFrame, steps: pd.DataFrame, dataset: ad.AnnData, split: pd.DataFrame
) -> dict[Basis, pd.DataFrame] | None:
    """Profiles of held-out perturbations: adapted, and of combinations; None if nothing is held out.

    The decoder gives means of logarithms, and a profile is the logarithm of a mean. What a step changes is
    nearly the same in both, so the change is predicted.
    """
    adapt, seen = cells_of(split, "adapt"), seen_cells(split)
    if adapt.empty:
        return None
    controls = seen[seen == CONTROL]
    of_control = latents.loc[controls.index].to_numpy()
    adapted = latents.loc[adapt.index].groupby(adapt.to_numpy()).mean() - of_control.mean(0)
    bases: dict[Basis, pd.DataFrame] = {"adapted": adapted}
    combinations = combinations_of_trained(split)
    if len(combinations):
        sums = [steps.loc[list(parts_of(name))].sum() for name in combinations]
        bases["combination"] = pd.DataFrame(sums, combinations)
    real = profile(pseudobulk(dataset, controls)).loc[CONTROL].to_numpy()
    before = module.profile_after(np.zeros(latents.shape[1]), of_control)
    predictions = {}
    for basis, table in bases.items():
        after = [module.profile_after(step, of_control) for step in table.to_numpy()]
        changed = np.maximum(real + np.array(after) - before, 0)
        predictions[basis] = pd.DataFrame(changed, table.index, dataset.var_names)
    return predictions
