"""The variational auto-encoder whose KL divergence weighs more."""

from anndata import AnnData

from svae.models.family.vae import VAE
from svae.values import NonNegative


class BetaVAE(VAE):
    """VAE whose KL divergence weighs β (Higgins et al. 2017).

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`.
    beta
        Weight of the KL divergence; 1 is the VAE.
    **kwargs
        Parameters of :class:`svae.models.model.PerturbationModel`.
    """

    def __init__(self, adata: AnnData | None = None, beta: NonNegative = 4.0, **kwargs):
        super().__init__(adata, beta=beta, **kwargs)
        self.init_params_ = self._get_init_params(locals())
