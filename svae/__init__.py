"""Sparse mechanism shift models of single-cell perturbation screens, and what it takes to compare them.

The model classes (``svae.SVAEPlus``, ``svae.IVAE``, …) are those of :mod:`svae.models`. They are loaded on
first use, so that evaluation jobs do not pay for importing torch.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    if name[0].isupper():  # only classes, so that no other question loads torch
        from svae.models import FAMILY, model_class

        classes = {found.__name__: found for found in map(model_class, FAMILY)}
        if name in classes:
            return classes[name]
    raise AttributeError(f"module 'svae' has no attribute '{name}'")
