"""The identifiable VAE: every perturbation shifts all latents."""

from svae.models.model import PerturbationModel
from svae.models.priors import DenseShift


class IVAE(PerturbationModel):
    """Identifiable VAE: every perturbation has a dense mean shift (Khemakhem et al. 2020).

    Its parameters are those of :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = DenseShift
