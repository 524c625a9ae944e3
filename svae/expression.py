"""Expression: counts on a scale on which cells can be compared."""

import anndata as ad
import numpy as np
import scanpy as sc


def log_normalised(dataset: ad.AnnData, library: float) -> np.ndarray:
    """log(1 + counts scaled to `library`), cells × genes."""
    scaled = ad.AnnData(dataset.X.astype(np.float32))
    sc.pp.normalize_total(scaled, target_sum=library)
    sc.pp.log1p(scaled)
    return scaled.X.toarray() if hasattr(scaled.X, "toarray") else np.asarray(scaled.X)
