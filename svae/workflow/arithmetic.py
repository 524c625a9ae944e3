"""Fix what the arithmetic of a job may depend on beside its inputs: threads, and choices of CUDA libraries.

docs/reproducibility.md says which numbers are then equal to the bit.
"""

import os

CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Environment in which a product of matrices on a GPU has one result (cuBLAS manual, section 2.1.4)."""

CUDNN = {"deterministic": True, "benchmark": False, "allow_tf32": False}
"""Attributes of ``torch.backends.cudnn``: one algorithm, chosen without a race, in full precision."""


def fix_arithmetic(threads: int) -> None:
    """Fix the arithmetic of torch in this process, before it computes anything.

    Parameters
    ----------
    threads
        So many threads share a sum, whose rounding depends on it; as many as the rule of the job names.
    """
    os.environ.update(CUBLAS)  # read when a GPU is first used
    import torch

    torch.set_num_threads(threads)
    for name, value in CUDNN.items():
        setattr(torch.backends.cudnn, name, value)
    torch.backends.cuda.matmul.allow_tf32 = False
    if torch.cuda.is_available():  # on processors the same threads give the same sums anyway
        torch.use_deterministic_algorithms(True, warn_only=True)


def arithmetic() -> dict[str, str]:
    """Return what :func:`fix_arithmetic` fixes on GPUs, for the manifest."""
    return CUBLAS | {f"cudnn.{name}": str(value) for name, value in CUDNN.items()}
