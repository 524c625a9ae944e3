"""scGen: a perturbation is a step in latent space, the same for all cells (Lotfollahi et al. 2019)."""

import anndata as ad
import pandas as pd
import torch
from torch import Tensor, nn

from svae.contracts.combinations import sums_of_parts
from svae.contracts.split import cells_of, combinations_of_trained, seen_cells, shown_cells
from svae.expression import TARGET_SUM
from svae.methods.autoencoders.network import Autoencoder
from svae.methods.options import ScGenOptions
from svae.methods.steps import profiles_after_steps
from svae.models.module import Hidden, kl_to_prior
from svae.training.module import Noise
from svae.words import CONTROL, Basis


class ScGen(Autoencoder):
    """A variational auto-encoder of log-normalised expression, with a Gaussian likelihood of variance 1.

    The step of a perturbation is the mean of the latents of its cells less that of the control cells. The
    prediction is the profile of the control cells, changed by what that step changes in the decoder's output
    for them; that of a combination takes the steps of all its parts.

    Parameters
    ----------
    counts
        Counts of the training cells, cells × genes, whose number of genes is all that is read.
    options
        Widths, dropout, and the weight of the KL divergence.
    """

    without_control = "it steps away from control cells, and there are no control cells"

    def __init__(self, counts: Tensor, options: ScGenOptions):
        super().__init__()
        self.options, n_genes = options, counts.shape[1]
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

    def shifts(self, latents: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
        """Step of each perturbation away from the control, perturbation × latent."""
        shown = shown_cells(split)
        means = latents.loc[shown.index].groupby(shown.to_numpy()).mean()
        return (means - means.loc[CONTROL]).rename_axis("perturbation")

    def predictions(
        self, latents: pd.DataFrame, dataset: ad.AnnData, split: pd.DataFrame
    ) -> dict[Basis, pd.DataFrame] | None:
        """Profiles after the steps of held-out perturbations: adapted, and of combinations."""
        adapt, seen = cells_of(split, "adapt"), seen_cells(split)
        if adapt.empty:
            return None
        controls = seen[seen == CONTROL]
        steps = self.shifts(latents, split)
        bases: dict[Basis, pd.DataFrame] = {"adapted": steps.loc[sorted(adapt.unique())]}
        combinations = combinations_of_trained(split)
        if len(combinations):
            bases["combination"] = sums_of_parts(combinations, steps)
        of_control = latents.loc[controls.index].to_numpy()
        return profiles_after_steps(self.decode, of_control, bases, dataset, controls)


def log_expression(x: Tensor) -> Tensor:
    """log(1 + 10,000 · share of the gene in the counts of the cell), cells × genes."""
    return torch.log1p(TARGET_SUM * x / x.sum(-1, keepdim=True).clamp(min=1))
