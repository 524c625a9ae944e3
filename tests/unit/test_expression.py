import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

from svae.expression import log_normalised


def test_expression_is_that_of_scanpy():
    counts = np.random.default_rng(0).poisson(0.4, size=(300, 40)) + np.eye(300, 40, dtype=int)
    counts[40:, 0] += 1
    expected = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)))
    sc.pp.normalize_total(expected, target_sum=123.0)
    sc.pp.log1p(expected)
    for X in (sparse.csr_matrix(counts), counts):
        found = log_normalised(ad.AnnData(X), library=123.0)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.X.toarray())
    assert (counts.sum(axis=1) > 0).all()
