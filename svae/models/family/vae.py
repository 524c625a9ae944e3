"""The variational auto-encoder, which does not know of perturbations."""

from svae.models.model import PerturbationModel
from svae.models.priors import StandardNormal


class VAE(PerturbationModel):
    """Variational auto-encoder of counts with a standard normal prior.

    After Kingma & Welling (2014); on counts, Lopez et al. (2018). Its parameters are those of
    :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = StandardNormal
