"""The sparse VAE with a spike-and-slab prior on the masks."""

from anndata import AnnData

from svae.models.model import PerturbationModel
from svae.models.priors import SpikeAndSlabShift
from svae.values import Positive


class SVAEPlus(PerturbationModel):
    """sVAE+: masked shifts with a spike-and-slab prior on the targets (Lopez et al. 2023).

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`.
    penalty
        s of the prior Beta(1, s) on each target probability; the paper takes s = K, the number of
        perturbations, and s = 1 means no sparsity at all.
    **kwargs
        Parameters of :class:`svae.models.model.PerturbationModel`.
    """

    prior_class = SpikeAndSlabShift
    original_objective = "sum"

    def __init__(self, adata: AnnData | None = None, penalty: Positive = 100.0, **kwargs):
        super().__init__(adata, penalty=penalty, **kwargs)
        self.init_params_ = self._get_init_params(locals())
