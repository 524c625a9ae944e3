"""scArches (Lotfollahi et al. 2022): scVI, and then new categories, whose weights alone are trained."""

from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scvi.model import SCVI

from svae.contracts.split import cells_of, seen_cells
from svae.methods.expected import expected_profiles
from svae.methods.scvi_tools.screen import (
    Screen,
    lightning_name,
    model_arguments,
    relabelled,
    training_arguments,
)
from svae.methods.scvi_tools.trained import TrainedSCVI
from svae.words import CONTROL, Basis

ARCHITECTURE = {"encode_covariates": True, "use_layer_norm": "both", "use_batch_norm": "none"}
"""What scvi-tools recommends where there will be surgery: running means of a BatchNorm would change with it,
and an encoder that is not told the perturbation leaves its effect in the latents."""


class TrainedScArches(TrainedSCVI):
    """scVI with the perturbation as its batch, then surgery: the batches of held-out perturbations are added.

    All weights but those of the new batches stay as they were.
    """

    draws = False  # not from control cells under another perturbation
    protocols = ("clean",)

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        SCVI.setup_anndata(screen.seen, batch_key="perturbation")
        of_model = {name: value for name, value in options.items() if name != "surgery_epochs"}
        self.reference = SCVI(screen.seen, **model_arguments(of_model), **ARCHITECTURE)
        self.reference.train(**screen.training_arguments(options, accelerator))
        self.model = self.reference
        self.known = {*screen.seen.obs["perturbation"], *screen.adapt.obs["perturbation"]}
        if screen.adapt.n_obs:
            self.model = SCVI.load_query_data(
                screen.adapt, self.reference, accelerator=lightning_name(accelerator)
            )
            surgery = {**options, "max_epochs": options.get("surgery_epochs"), "early_stopping": False}
            self.model.train(
                # With decay, the weights of the trained perturbations would shrink, since nothing holds them.
                plan_kwargs={"weight_decay": 0.0},
                **training_arguments(surgery, accelerator, np.arange(screen.adapt.n_obs)),
            )

    @property
    def learner(self) -> Any:
        """The model as it was before surgery."""
        return self.reference

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents; cells of perturbations that it does not know pass as control."""
        return super().latents(self._told(cells))

    def log_likelihood(self, cells: ad.AnnData, n_samples: int) -> np.ndarray:
        """Log p(x | perturbation) of each cell in nats; NaN for a perturbation that it does not know."""
        found = super().log_likelihood(self._told(cells), n_samples)
        return np.where(cells.obs["perturbation"].isin(self.known), found, np.nan)

    def predictions(self, cells: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame] | None:
        """What the control cells would be under each held-out perturbation that it adapted to."""
        seen, held_out = seen_cells(split), sorted(cells_of(split, "adapt").unique())
        control = seen.index[seen == CONTROL]
        tables = [self._profile_under(perturbation, cells, control) for perturbation in held_out]
        return {"adapted": pd.concat(tables)} if tables else None

    def _profile_under(self, perturbation: str, cells: ad.AnnData, control: pd.Index) -> pd.DataFrame:
        """Encode control cells as what they are, and decode them under a perturbation; 1 × genes."""

        def shares(shown: ad.AnnData) -> np.ndarray:
            return self.model.get_normalized_expression(
                shown, transform_batch=perturbation, library_size=1, return_numpy=True
            )

        return expected_profiles(shares, cells, pd.Series(perturbation, control))

    def _told(self, cells: ad.AnnData) -> ad.AnnData:
        labels = cells.obs["perturbation"].astype(str)
        return relabelled(cells, labels.where(labels.isin(self.known), CONTROL))
