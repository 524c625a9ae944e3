"""The priors p(z | perturbation): the whole difference between the models of Lopez et al. (2023).

Every prior is Normal(mean, I); what differs is how a perturbation moves the mean:

================== ============================== ===============================================
prior              mean of perturbation k         penalty
================== ============================== ===============================================
`StandardNormal`   0                              none
`DenseShift`       m_k                            none
`NormalShift`      m_k                            KL of q(m_k) from Normal(0, I)
`MaskedShift`      b_k ⊙ m_k                      λ · mean σ(α)          (Lachapelle et al. 2022)
`SpikeAndSlab…`    b_k ⊙ m_k                      − Σ log Beta(σ(α_kj); 1, s)
`BernoulliNormal…` b_k ⊙ m_k                      KL of q(b_k), q(m_k) from Bernoulli(π), Normal(0, I)
================== ============================== ===============================================

with b_kj a straight-through Gumbel-sigmoid draw of logits α_kj. Codes are those of the perturbations
seen in training; what is assumed of others is the business of :mod:`svae.models.transfer`. Every code has
a shift of its own, unless it is said which *parts* each perturbation has: then the parts have shifts, and a
perturbation has the sum of those of its parts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from svae.models.rotation import sparse_rotation


class StandardNormal(nn.Module):
    """z ~ Normal(0, I) whatever the perturbation: VAE, β-VAE and conditional VAE.

    Parameters
    ----------
    n_perturbations
        Number of perturbations seen in training.
    n_latent
        Number of latents p.
    control
        Code of the unperturbed cells, whose mean is held at 0; ``None`` if there are none.
    parts
        The parts of each perturbation, as codes from 0; by default each is its own only part.
    """

    parts: Tensor
    present: Tensor

    def __init__(
        self,
        n_perturbations: int,
        n_latent: int,
        control: int | None = None,
        parts: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__()
        self.n_latent = n_latent
        self.anchored = control is not None or parts is not None
        parts = [[code] for code in range(n_perturbations)] if parts is None else parts
        self.n_parts = 1 + max((code for of_one in parts for code in of_one), default=0)
        width = max(len(of_one) for of_one in parts)
        # Perturbations × most parts of one; where a perturbation has fewer, the rest is not present.
        codes = [[*of_one, *[0] * (width - len(of_one))] for of_one in parts]
        present = [[float(place < len(of_one)) for place in range(width)] for of_one in parts]
        if control is not None:
            present[control] = [0.0] * width
        self.register_buffer("parts", torch.tensor(codes))
        self.register_buffer("present", torch.tensor(present)[..., None])

    @property
    def most_parts(self) -> int:
        """Parts of the perturbation that has most of them."""
        return self.parts.shape[1]

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation), cells × latents."""
        return torch.zeros(*perturbation.shape, self.n_latent, device=perturbation.device)

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """Penalty added to the loss per cell; `kl_weight` is the warm-up of the KL terms."""
        return self.present.new_zeros(())


class DenseShift(StandardNormal):
    """z ~ Normal(m_k, I), every latent free to move: iVAE (Khemakhem et al. 2020)."""

    def __init__(self, n_perturbations: int, n_latent: int, control: int | None = None, parts=None):
        super().__init__(n_perturbations, n_latent, control, parts)
        self.shift = nn.Parameter(torch.randn(self.n_parts, n_latent))

    def shifts_of_parts(self) -> Tensor:
        """Mean shift of each part, parts × latents, masked by the probable targets."""
        return self.shift

    def shifts(self) -> Tensor:
        """Mean shifts, perturbations × latents, masked by the probable targets."""
        return (self.shifts_of_parts()[self.parts] * self.present).sum(-2)

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation), cells × latents."""
        return self.shifts()[perturbation]

    def sparse_rotation(self, seed: int) -> tuple[Tensor, Tensor]:
        """Rotation and origin that make the shifts sparse; see :mod:`svae.models.rotation`."""
        of_cells = self.parts[self.present[..., 0] > 0].unique()
        shifts = self.shift.detach()[of_cells].double().cpu().numpy()
        rotation, origin = sparse_rotation(shifts, seed, anchored=self.anchored)
        return torch.as_tensor(rotation).to(self.shift), torch.as_tensor(origin).to(self.shift)


class NormalShift(DenseShift):
    """m ~ Normal(0, I) for the shifts of all parts: CPA-VAE (Bereket & Karaletsos 2023).

    The posterior of a shift is Normal(m, v). As the shift enters the objective through the KL divergence of
    the latents alone, its expectation and the best v are known, and what v costs does not depend on m.
    """

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """Sum of ½ m² over all parts, spread over the `n_cells` training cells (nats per cell)."""
        return kl_weight * 0.5 * self.shift.square().sum() / n_cells


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
        parts: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__(n_perturbations, n_latent, control, parts)
        self.logit = nn.Parameter(torch.full((self.n_parts, n_latent), float(initial_logit)))
        # Buffers, not attributes: fleets stack them, and saved models remember them.
        self.register_buffer("strength", torch.tensor(float(penalty)))
        self.register_buffer("binarised", torch.tensor(False))

    def targets(self) -> Tensor:
        """Probability that a perturbation shifts a latent, by any of its parts; perturbations × latents."""
        of_parts = torch.sigmoid(self.logit)[self.parts] * self.present
        return 1 - (1 - of_parts).prod(-2)

    def shifts_of_parts(self) -> Tensor:
        """Mean shift of each part, parts × latents, masked by the probable targets."""
        return self.shift * (self.logit > 0)

    def binarise(self) -> None:
        """Fix every mask at its more probable value (threshold 0.5) for all further training."""
        self.binarised.fill_(True)

    def mean(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """Mean of p(z | perturbation); masks are drawn from `mask_noise` where it is given.

        The noise is uniform, cells × most parts × latents.
        """
        if mask_noise is None:
            return self.shifts()[perturbation]
        parts = self.parts[perturbation]
        logit = self.logit[parts]
        soft = torch.sigmoid(logit + torch.logit(mask_noise, eps=1e-6))
        hard = (soft > 0.5).to(soft.dtype)
        drawn = hard + soft - soft.detach()
        fixed = (logit > 0).to(soft.dtype)
        mask = torch.where(self.binarised, fixed, drawn)
        return (self.shift[parts] * self.present[perturbation] * mask).sum(-2)

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


class BernoulliNormalShift(MaskedShift):
    """b ~ Bernoulli(π) and m ~ Normal(0, I) for all parts: SAMS-VAE (Bereket & Karaletsos 2023).

    Masks have the posterior Bernoulli(σ(α)). That of a shift is Normal(m, v) where its mask is open, and the
    prior where it is closed: the correlated guide of the paper. The encoder does not see masks and shifts, so
    that these enter the objective through the KL divergence of the latents alone: an open mask adds n v / 2
    to the sum over the n cells that have the part. The best v, 1 / (1 + n), is therefore known, and the cost
    of an open mask becomes ½ m² + ½ log(1 + n), beside what Bernoulli(π) adds.

    Parameters
    ----------
    target_probability
        π, the expected share of latents that a part shifts.
    shares
        Share of all cells that have each part, one per part; all of them by default.
    """

    shares: Tensor

    def __init__(
        self,
        n_perturbations: int,
        n_latent: int,
        control: int | None = None,
        target_probability: float = 0.01,
        initial_logit: float = 5.0,
        parts: Sequence[Sequence[int]] | None = None,
        shares: Sequence[float] | None = None,
    ):
        super().__init__(n_perturbations, n_latent, control, target_probability, initial_logit, parts)
        shares = [1.0] * self.n_parts if shares is None else shares
        self.register_buffer("shares", torch.tensor(shares)[:, None])

    def penalty(self, n_cells: int, kl_weight: float = 1.0) -> Tensor:
        """KL divergences of masks and shifts, spread over the `n_cells` training cells (nats per cell)."""
        log_open, log_closed = nn.functional.logsigmoid(self.logit), nn.functional.logsigmoid(-self.logit)
        is_open = torch.where(self.binarised, (self.logit > 0).to(self.logit.dtype), log_open.exp())
        of_shifts = is_open * 0.5 * (self.shift.square() + torch.log1p(self.shares * n_cells))
        of_masks = log_open.exp() * (log_open - torch.log(self.strength))
        of_masks = of_masks + log_closed.exp() * (log_closed - torch.log1p(-self.strength))
        total = of_shifts.sum() + torch.where(self.binarised, 0.0, of_masks.sum())
        return kl_weight * total / n_cells
