"""The compositional VAE: dense shifts with a normal prior, which add up in combinations."""

from svae.models.additive import AdditiveModel
from svae.models.priors import NormalShift


class CPAVAE(AdditiveModel):
    """CPA-VAE: every part of a perturbation has a dense shift (Bereket & Karaletsos 2023).

    Its parameters are those of :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = NormalShift
