"""Sparse mechanism shift models of single-cell perturbation screens, and what it takes to compare them.

The model classes are loaded on first use, so that evaluation jobs do not pay for importing torch.
"""

from importlib import import_module

__version__ = "0.1.0"

__all__ = ["IVAE", "SVAE", "VAE", "BetaVAE", "RotatedIVAE", "SVAEPlus"]


def __getattr__(name: str):
    if name in __all__:
        return getattr(import_module("svae.models.classes"), name)
    raise AttributeError(f"module 'svae' has no attribute '{name}'")
