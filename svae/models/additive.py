"""Models in which a combination of perturbations shifts the latents by the sum of the shifts of its parts."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS
from torch import Tensor

from svae.contracts.combinations import is_combination, parts_of
from svae.models.model import PerturbationModel
from svae.models.priors import DenseShift


class AdditiveModel(PerturbationModel):
    """Base of the model classes whose prior gives a shift to every part of a perturbation.

    A held-out combination has a shift before it is adapted to, if the model was trained on all of its parts.
    Its parameters are those of :class:`svae.models.model.PerturbationModel`.
    """

    def prior_arguments(self) -> dict[str, Any]:
        """Return the parts of each perturbation, as codes in the order of their names."""
        return {"parts": [np.flatnonzero(row).tolist() for row in self._design().to_numpy()]}

    @torch.no_grad()
    def known_of(self, names: np.ndarray) -> Tensor:
        """What is known of the perturbation of each cell, that of an unseen combination from its parts.

        Parameters
        ----------
        names
            Perturbation of each cell.

        Returns
        -------
        Cells × latents; 0 for a perturbation neither trained nor adapted, unless it adds up.
        """
        known = super().known_of(names)
        of_parts = dict(zip(self._design().columns, self.known_of_parts(), strict=True))
        for name in set(names) - set(self.trained_) - set(self.adapted_):
            if self.adds_up(name):
                added = torch.stack([of_parts[part] for part in parts_of(name)]).sum(0)
                known[torch.as_tensor(names == name)] = added
        return known

    def known_of_parts(self) -> Tensor:
        """What each part adds to what is known of a combination: its shift, parts × latents."""
        assert isinstance(self.module.prior, DenseShift)
        return self.module.prior.shifts_of_parts()

    def adds_up(self, perturbation: str) -> bool:
        """Whether a perturbation is a combination, and the model was trained on each of its parts alone."""
        return is_combination(perturbation) and set(self.trained_).issuperset(parts_of(perturbation))

    def _design(self) -> pd.DataFrame:
        """Perturbation × part, 1 for a part of the perturbation; the control has none."""
        # A label that another screen has for its control is one like any other here.
        own = [() if name == self.control_ else parts_of(name) or (name,) for name in self.perturbations_]
        columns = sorted({part for parts in own for part in parts})
        rows = [[float(part in parts) for part in columns] for parts in own]
        return pd.DataFrame(rows, self.perturbations_, columns)


class SparseAdditiveModel(AdditiveModel):
    """Base of those whose prior weighs a mask by the number of cells that have the part."""

    def prior_arguments(self) -> dict[str, Any]:
        """Return the parts of each perturbation, and the share of all cells that have each part."""
        codes = self.adata_manager.get_from_registry(REGISTRY_KEYS.LABELS_KEY).ravel()
        shares = np.bincount(codes, minlength=len(self.perturbations_)) / len(codes)
        return super().prior_arguments() | {"shares": (shares @ self._design().to_numpy()).tolist()}
