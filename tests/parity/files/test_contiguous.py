"""Every permutation of axes, whatever way it is copied by, is the one that NumPy makes."""

from itertools import permutations

import ml_dtypes
import numpy as np
import pytest

from parity.files.contiguous import contiguous


@pytest.mark.parametrize("shape", [(130, 257), (31, 40, 23), (2, 3, 64, 96), (64, 96, 3, 2), (2, 3, 4, 32, 33)])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.bool_])
def test_a_view_becomes_the_same_numbers_in_order(shape, dtype):
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    for axes in permutations(range(len(shape))):
        for view in (array.transpose(axes), np.flip(array.transpose(axes), 0), array.transpose(axes)[1:]):
            found = contiguous(view)
            assert found.flags.c_contiguous
            assert (found.shape, found.dtype) == (view.shape, view.dtype)
            assert found.tobytes() == view.tobytes()
