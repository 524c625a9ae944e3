"""The priors p(z | perturbation): the whole difference between the models of Lopez et al. (2023).

Every prior is Normal(mean, I); what differs is how a perturbation moves the mean:

================== ============================== ===============================================
prior              mean of perturbation k         penalty
================== ============================== ===============================================
`StandardNormal`   0                              none
`DenseShift`       m_k                            none
`MaskedShift`      b_k ⊙ m_k                      λ · mean σ(α)          (Lachapelle et al. 2022)
`SpikeAndSlab…`    b_k ⊙ m_k                      − Σ log Beta(σ(α_kj); 1, s)
================== ============================== ===============================================

with b_kj a straight-through Gumbel-sigmoid draw of logits α_kj. Codes are those of the perturbations
seen in training; what is assumed of others is the business of :mod:`svae.models.transfer`.
"""

import torch
from torch import Tensor, nn

from svae.models.rotation import sparse_rotation


class StandardNormal(nn.Module):
    """z ~ Normal(0, I) whatever the perturbation: VAE and β-VAE.

    Parameters
    ----------
    n_perturbations
        Number of perturbations seen in training.
    n_latent
        Number of latents p.
    control
        Code of the unperturbed cells, whose mean is held at 0; ``None`` if there are none.
    """

    perturbed: Tensor

    def __init__(self, n_perturbations: int, n_latent: int, control: int | None = None):
        super().__init__()
        self.n_latent = n_latent
        perturbed = torch.ones(n_perturbations, 1)
        if control is not None:
            perturbed[control] = 0.0
        self.register_buffer("perturbed", perturbed)

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation), cells × latents."""
        return torch.zeros(*perturbation.shape, self.n_latent, device=perturbation.device)

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """Penalty added to the loss per cell; `kl_weight` is the warm-up of the KL terms."""
        return self.perturbed.new_zeros(())


class DenseShift(StandardNormal):
    """z ~ Normal(m_k, I), every latent free to move: iVAE (Khemakhem et al. 2020)."""

    def __init__(self, n_perturbations: int, n_latent: int, control: int | None = None):
        super().__init__(n_perturbations, n_latent, control)
        self.shift = nn.Parameter(torch.randn(n_perturbations, n_latent))

    def shifts(self) -> Tensor:
        """Mean shifts, perturbations × latents, masked by the probable targets."""
        return self.shift * self.perturbed

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation), cells × latents."""
        return self.shifts()[perturbation]

    def sparse_rotation(self, seed: int) -> tuple[Tensor, Tensor]:
        """Rotation and origin that make the shifts sparse; see :mod:`svae.models.rotation`."""
        perturbed = self.perturbed[:, 0] > 0
        shifts = self.shift.detach()[perturbed].double().cpu().numpy()
        rotation, origin = sparse_rotation(shifts, seed, anchored=not bool(perturbed.all()))
        return torch.as_tensor(rotation).to(self.shift), torch.as_tensor(origin).to(self.shift)


class MaskedShift(DenseShift):
    """z ~ Normal(b_k ⊙ m_k, I) with a penalty on the number of targets: sVAE.

    Parameters
    ----------
    penalty
        λ, the weight of the mean target probability in the loss per cell.
    initial_logit
        Where the mask logits α start; 5 in the released code (probability 0.993).
    """

    strength: Tensor
    binarised: Tensor

    def __init__(
        self,
        n_perturbations: int,
        n_latent: int,
        control: int | None = None,
        penalty: float = 1.0,
        initial_logit: float = 5.0,
    ):
        super().__init__(n_perturbations, n_latent, control)
        self.logit = nn.Parameter(torch.full((n_perturbations, n_latent), float(initial_logit)))
        # Buffers, not attributes: fleets stack them, and saved models remember them.
        self.register_buffer("strength", torch.tensor(float(penalty)))
        self.register_buffer("binarised", torch.tensor(False))

    def targets(self) -> Tensor:
        """Probability that a perturbation shifts a latent, perturbations × latents."""
        return torch.sigmoid(self.logit) * self.perturbed

    def shifts(self) -> Tensor:
        """Mean shifts, perturbations × latents, masked by the probable targets."""
        return self.shift * self.perturbed * (self.logit > 0)

    def binarise(self) -> None:
        """Fix every mask at its more probable value (threshold 0.5) for all further training."""
        self.binarised.fill_(True)

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation); masks are drawn from uniform `mask_noise` where it is given."""
        if mask_noise is None:
            return self.shifts()[perturbation]
        logit = self.logit[perturbation]
        soft = torch.sigmoid(logit + torch.logit(mask_noise, eps=1e-6))
        hard = (soft > 0.5).to(soft.dtype)
        drawn = hard + soft - soft.detach()
        fixed = (logit > 0).to(soft.dtype)
        mask = torch.where(self.binarised, fixed, drawn)
        return (self.shift * self.perturbed)[perturbation] * mask

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """λ times the mean target probability, nats per cell; no KL term, so never warmed up."""
        return torch.where(self.binarised, 0.0, self.strength * torch.sigmoid(self.logit).mean())


class SpikeAndSlabShift(MaskedShift):
    """b_kj ~ Bernoulli(π_kj), π_kj ~ Beta(1, s) with a point estimate of π: sVAE+.

    The density of Beta(1, s) is s (1 − π)^(s − 1), so s = 1 is flat and larger s is sparser.
    """

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """− Σ log Beta(σ(α); 1, s), spread over the `n_cells` training cells (nats per cell)."""
        log_density = torch.log(self.strength) + (self.strength - 1) * nn.functional.logsigmoid(-self.logit)
        return torch.where(self.binarised, 0.0, -kl_weight * log_density.sum() / n_cells)
