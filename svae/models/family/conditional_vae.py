"""The conditional VAE: its networks are told the perturbation, and its latents are what that leaves."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from svae.contracts.combinations import parts_of
from svae.models.additive import AdditiveModel
from svae.models.coded import CodedVAE, adapted_codes
from svae.models.priors import StandardNormal
from svae.training.cells import Cells


class ConditionalVAE(AdditiveModel):
    """Conditional VAE of counts (Sohn et al. 2015; on perturbations, Bereket & Karaletsos 2023).

    Encoder and decoder are told the parts of the perturbation of a cell, and the prior of the latents is
    standard normal. What a perturbation does is therefore not in the latents. Its parameters are those of
    :class:`svae.models.model.PerturbationModel`.
    """

    module_class = CodedVAE
    prior_class = StandardNormal
    moves_latents = False

    @torch.no_grad()
    def known_of(self, names: np.ndarray) -> Tensor:
        """Code of the perturbation of each cell, that of an unseen combination from its parts.

        Parameters
        ----------
        names
            Perturbation of each cell.

        Returns
        -------
        Cells × parts; 0, as for the control, for a perturbation neither trained nor adapted, unless it
        adds up.
        """
        codes = self._design().loc[self.trained_]
        adapted = pd.DataFrame.from_dict(self.adapted_, "index", columns=codes.columns)
        sums = {
            name: codes.loc[list(parts_of(name))].sum()
            for name in set(names) - set(codes.index) - set(self.adapted_)
            if self.adds_up(name)
        }
        table = pd.concat([codes, adapted, pd.DataFrame.from_dict(sums, "index", columns=codes.columns)])
        rows = table.reindex(names).fillna(0.0).to_numpy(dtype=np.float32)
        return torch.as_tensor(rows, device=self.module.device)

    def adapted_to(self, cells: Cells, groups: Tensor, n_groups: int) -> Tensor:
        """Code of each group of held-out cells, found by gradient steps, groups × parts."""
        return adapted_codes(self.module, cells, groups, n_groups)
