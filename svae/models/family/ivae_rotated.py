"""The identifiable VAE, seen along the axes on which its shifts are sparse."""

from svae.models.family.ivae import IVAE
from svae.seeds import seed_from


class RotatedIVAE(IVAE):
    """iVAE whose latents are turned after the first stage to axes along which its shifts are sparse.

    It knows neither masks nor a sparse prior (:mod:`svae.models.rotation`; on rotations to sparsity, Rohe &
    Zeng 2023), so that what those add shows in the difference between sVAE+ and this.
    """

    def end_first_stage(self, seed: int) -> None:
        """Rotate the latents; the second stage goes on along the axes found here."""
        self.module.rotate_to_sparse_shifts(seed_from(seed, "rotation"))
