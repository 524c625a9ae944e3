"""The sparse additive mechanism shift VAE."""

from anndata import AnnData

from svae.models.additive import SparseAdditiveModel
from svae.models.priors import BernoulliNormalShift
from svae.values import OpenFraction


class SAMSVAE(SparseAdditiveModel):
    """SAMS-VAE: masked shifts of the parts of a perturbation, which add up (Bereket & Karaletsos 2023).

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`.
    target_probability
        π of the prior Bernoulli(π) on each target: the expected share of latents that a part shifts.
    **kwargs
        Parameters of :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = BernoulliNormalShift

    def __init__(self, adata: AnnData | None = None, target_probability: OpenFraction = 0.01, **kwargs):
        super().__init__(adata, target_probability=target_probability, **kwargs)
        self.init_params_ = self._get_init_params(locals())
