"""Sparse matrices whose parts do not fit together are refused, in every format."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from skmeta import FMRLRegressor
from skmeta.linear_model import BiasedRidge, OGDRegressor

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X.sum(axis=1)
MODELS = {
    "units": FMRLRegressor,
    "raw": lambda: FMRLRegressor(OGDRegressor(), standardize=False),
    "exact": lambda: FMRLRegressor(BiasedRidge()),
    "inner": OGDRegressor,
}
BAD = 10**6
CORRUPT = {
    "csr column": ("csr", "indices", 5, 3, None),
    "csr negative": ("csr", "indices", 5, -BAD, None),
    "csr column beyond 32 bits": ("csr", "indices", 5, 2**32 + 1, np.int64),
    "csr negative beyond 32 bits": ("csr", "indices", 5, 1 - 2**32, np.int64),
    "csr pointer": ("csr", "indptr", 5, BAD, None),
    "csr pointer negative": ("csr", "indptr", 0, -BAD, None),
    "csr pointer beyond 32 bits": ("csr", "indptr", 5, 2**33, np.int64),
    "csc row": ("csc", "indices", 5, BAD, None),
    "csc negative": ("csc", "indices", 5, -BAD, None),
    "csc pointer": ("csc", "indptr", 1, BAD, None),
    "coo row": ("coo", "row", 5, BAD, None),
    "coo column": ("coo", "col", 5, BAD, None),
    "coo negative": ("coo", "col", 5, -BAD, None),
    "bsr block": ("bsr", "indices", 0, BAD, None),
    "bsr pointer": ("bsr", "indptr", 1, BAD, None),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@each_model
@pytest.mark.parametrize("name", CORRUPT)
def test_a_corrupt_matrix_is_refused(make, name):
    kind, part, place, value, dtype = CORRUPT[name]
    Z = getattr(sp, f"{kind}_matrix")(X)
    array = getattr(Z, part)
    array = array.astype(dtype or array.dtype)
    array[place] = value
    setattr(Z, part, array)
    message = "corrupt .* Build the matrix again|indices of a sparse X must be smaller"
    with pytest.raises(ValueError, match=message):
        make().partial_fit(Z, Y)


@each_model
@pytest.mark.parametrize("n_columns", [2**31, 2**33, 2**62])
def test_a_matrix_that_is_too_wide_is_refused_without_memory(make, n_columns):
    parts = np.ones(3), np.arange(3, dtype=np.int64), np.arange(4)
    Z = sp.csr_matrix(parts, shape=(3, n_columns))
    with pytest.raises(ValueError, match=f"X has {n_columns} columns; at most 214748"):
        make().partial_fit(Z, Y[:3])


@each_model
def test_other_forms_of_a_matrix_give_the_same(make):
    """Unsorted, duplicate and 64-bit indices, and other formats."""
    Z = sp.csr_matrix(X)
    wide = Z.copy()
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    halves = np.repeat(Z.data / 2, 2), np.repeat(Z.indices, 2), 2 * Z.indptr
    backwards = sp.csr_matrix(
        (X[:, ::-1].ravel(), np.tile([2, 1, 0], 40), Z.indptr), shape=Z.shape
    )
    expected = make().partial_fit(Z, Y).coef_
    same = [wide, sp.csr_matrix(halves, shape=Z.shape), backwards]
    for other in [*same, sp.csc_matrix(X), sp.coo_matrix(X), sp.bsr_matrix(X)]:
        assert_allclose(make().partial_fit(other, Y).coef_, expected, rtol=1e-12)
