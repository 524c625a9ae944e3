"""The conditional VAE: its networks are told the perturbation, and its latents are what that leaves."""

import pandas as pd
import torch
from torch import Tensor

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

    def known_table(self) -> pd.DataFrame:
        """Code of each perturbation that was trained on or adapted to, perturbation × part."""
        codes = self._design().loc[self.trained_]
        if not self.adapted_:
            return codes
        return pd.concat([codes, pd.DataFrame.from_dict(self.adapted_, "index", columns=codes.columns)])

    def known_of_parts(self) -> Tensor:
        """What each part adds to the code of a combination: its own 1, parts × parts."""
        return torch.eye(self.module.n_code, device=self.module.device)

    def adapted_to(self, cells: Cells, groups: Tensor, n_groups: int) -> Tensor:
        """Code of each group of held-out cells, found by gradient steps, groups × parts."""
        return adapted_codes(self.module, cells, groups, n_groups)
