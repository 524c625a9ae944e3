"""The sparse VAE: masks say which latents a perturbation shifts, and a penalty counts them."""

from anndata import AnnData

from svae.models.model import PerturbationModel
from svae.models.priors import MaskedShift
from svae.values import NonNegative


class SVAE(PerturbationModel):
    """Sparse VAE: masked shifts with a penalty on the number of targets (Lachapelle et al. 2022).

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`.
    penalty
        λ, the weight of the mean target probability in the loss per cell.
    **kwargs
        Parameters of :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = MaskedShift

    def __init__(self, adata: AnnData | None = None, penalty: NonNegative = 1.0, **kwargs):
        super().__init__(adata, penalty=penalty, **kwargs)
        self.init_params_ = self._get_init_params(locals())
