"""The model classes: each is little more than its prior and its name."""

from anndata import AnnData

from svae.models.base import PerturbationModel
from svae.models.priors import DenseShift, MaskedShift, SpikeAndSlabShift, StandardNormal


class VAE(PerturbationModel):
    """Variational auto-encoder with a standard normal prior: it does not know of perturbations.

    Kingma & Welling (2014); on counts, Lopez et al. (2018).
    """

    _prior = StandardNormal


class BetaVAE(VAE):
    """VAE whose KL divergence weighs β (Higgins et al. 2017)."""

    def __init__(self, adata: AnnData | None = None, beta: float = 4.0, **kwargs):
        super().__init__(adata, beta=beta, **kwargs)
        self.init_params_ = self._get_init_params(locals())


class IVAE(PerturbationModel):
    """Identifiable VAE: every perturbation has a dense mean shift (Khemakhem et al. 2020)."""

    _prior = DenseShift


class RotatedIVAE(IVAE):
    """iVAE whose latents are turned, once trained, to axes along which its shifts are sparse.

    It knows neither masks nor a sparse prior (:mod:`svae.models.rotation`), so that what those add shows in
    the difference between SVAE+ and this.
    """

    def _remember_training(self, training, validation) -> None:
        super()._remember_training(training, validation)
        self.module.rotate_to_sparse_shifts(seed=0)


class SVAE(PerturbationModel):
    """Sparse VAE: masked shifts with a penalty on the number of targets (Lachapelle et al. 2022)."""

    _prior = MaskedShift

    def __init__(self, adata: AnnData | None = None, penalty: float = 1.0, **kwargs):
        super().__init__(adata, penalty=penalty, **kwargs)
        self.init_params_ = self._get_init_params(locals())


class SVAEPlus(PerturbationModel):
    """sVAE+: masked shifts with a spike-and-slab prior on the targets (Lopez et al. 2023).

    Parameters
    ----------
    penalty
        s of the prior Beta(1, s) on each target probability; the paper takes s = K, the number of
        perturbations, and s = 1 means no sparsity at all.
    **kwargs
        See :class:`PerturbationModel`.
    """

    _prior = SpikeAndSlabShift
    _default_objective = "sum"

    def __init__(self, adata: AnnData | None = None, penalty: float = 100.0, **kwargs):
        super().__init__(adata, penalty=penalty, **kwargs)
        self.init_params_ = self._get_init_params(locals())
