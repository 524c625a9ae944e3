"""Expression: counts on a scale on which cells can be compared."""

import anndata as ad
import numpy as np
from scipy import sparse


def log_normalised(dataset: ad.AnnData, library: float) -> np.ndarray:
    """Scale the counts of every cell to the same library, and take log(1 + x).

    Parameters
    ----------
    dataset
        Raw counts in ``X``, cells × genes; every cell has at least one.
    library
        Counts of a cell after scaling.

    Returns
    -------
    Cells × genes, float32, natural logarithm.
    """
    # This gives the numbers of scanpy's `normalize_total` and `log1p`. It does not call them, because scanpy
    # brings along numba, matplotlib and much else, and all that is needed of it is one division.
    expression = sparse.csr_matrix(dataset.X, dtype=np.float32).toarray()
    expression /= expression.sum(axis=1, keepdims=True) / np.float32(library)
    return np.log1p(expression, out=expression)
