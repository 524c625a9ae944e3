"""The VAE whose latents are kept from telling of a nuisance."""

from anndata import AnnData

from svae.models.family.vae import VAE
from svae.models.given import checked_arguments
from svae.models.independence import IndependentVAE
from svae.values import NonNegative


class HSICVAE(VAE):
    """VAE whose latents are kept independent of the batch, or of the library where there are no batches.

    After Lopez, Regier, Jordan & Yosef (2018, NeurIPS), "Information constraints on auto-encoding variational
    Bayes".

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`.
    independence
        λ, the weight in nats of the square root of the Hilbert–Schmidt independence criterion; 0 is the VAE.
    **kwargs
        Parameters of :class:`svae.models.model.PerturbationModel`.
    """

    module_class = IndependentVAE

    def __init__(self, adata: AnnData | None = None, independence: NonNegative = 30.0, **kwargs):
        super().__init__(adata, **kwargs)
        given = checked_arguments(type(self), {"independence": independence})
        self.module.independence.fill_(given["independence"])
        self.init_params_ = self._get_init_params(locals())
