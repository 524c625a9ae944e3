"""A VAE whose networks are told the perturbation by a code, and codes of held-out perturbations."""

import torch
from torch import Tensor

from svae.models.module import PerturbationVAE
from svae.models.priors import StandardNormal
from svae.training.cells import Cells

STEPS, CELLS_PER_STEP, LEARNING_RATE = 200, 512, 0.05
"""How the code of a held-out perturbation is fitted, by Adam."""


class CodedVAE(PerturbationVAE):
    """A module whose encoder and decoder are told a code of the perturbation, and whose prior is not.

    The code has a 1 for each part of the perturbation, and is 0 for the control. It is an input of every
    layer, as the batch is of the decoder. What is known of a perturbation is its code.

    Parameters
    ----------
    n_genes
        Number of genes.
    prior
        Knows the parts of the trained perturbations.
    **kwargs
        Parameters of :class:`svae.models.module.PerturbationVAE`.
    """

    def __init__(self, n_genes: int, prior: StandardNormal, **kwargs):
        super().__init__(n_genes, prior, n_code=prior.n_parts, **kwargs)

    def known(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Codes of trained perturbations, cells × parts."""
        one_hot = torch.nn.functional.one_hot(self.prior.parts, self.n_code)
        return (one_hot * self.prior.present).sum(-2)[perturbation]

    def prior_mean(self, known: Tensor) -> Tensor:
        """Zero, whatever the perturbation, ... × latents."""
        return known.new_zeros(*known.shape[:-1], self.prior.n_latent)

    def code(self, known: Tensor | None) -> Tensor | None:
        """What encoder and decoder are told: the code itself."""
        return known


@torch.enable_grad()
def adapted_codes(module: CodedVAE, cells: Cells, groups: Tensor, n_groups: int) -> Tensor:
    """Codes that explain groups of held-out cells best under the frozen module, groups × parts.

    They maximise the ELBO and start at the code of the control. An entry is free to be any number, so that a
    held-out perturbation becomes a linear combination of what the networks make of the trained parts.

    Parameters
    ----------
    module
        As trained.
    cells
        Cells of held-out perturbations.
    groups
        Code in [0, `n_groups`) of the held-out perturbation of each cell.
    n_groups
        Number of held-out perturbations.
    """
    module.eval()
    codes = torch.zeros(n_groups, module.n_code, device=cells.device, requires_grad=True)
    optimiser = torch.optim.Adam([codes], lr=LEARNING_RATE)
    generator = torch.Generator(cells.device).manual_seed(0)
    for _ in range(STEPS if n_groups else 0):
        order = torch.randperm(len(cells), generator=generator, device=cells.device)
        chosen = order[:CELLS_PER_STEP]
        drawn, noise = cells[chosen], module.draw_validation_noise(len(chosen), generator)
        reconstruction, kl = module.elbo_terms(drawn.x, drawn.batch, codes[groups[chosen]], noise)
        (codes.grad,) = torch.autograd.grad((reconstruction + kl).mean(), [codes])
        optimiser.step()
    return codes.detach()
