"""Arrays in C order out of views with permuted axes, several times as fast as NumPy copies them."""

import math

import numpy as np
import torch
from jaxtyping import Shaped

SMALL = 2**14
"""Numbers, below which it makes no difference."""


def contiguous(view: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The same numbers in C order; the array itself, where it is so already.

    A layout's permutation is one that keeps long rows whole, which NumPy is fast at, and one transposition of matrices,
    which PyTorch does in blocks that fit the cache.
    """
    if view.flags.c_contiguous or view.size < SMALL or min(view.strides) <= 0:
        return np.ascontiguousarray(view)
    stored = view.transpose(order := np.argsort(view.strides)[::-1])  # the axes as they lie in memory
    first, last = int(order[-1]), int(np.flatnonzero(order == view.ndim - 1)[0])
    if not stored.flags.c_contiguous or first == view.ndim - 1:
        return np.ascontiguousarray(view)
    if view.shape[first] >= view.shape[-1]:  # the rows in memory are the longer ones: they are kept whole first
        return _axis_from_last(np.ascontiguousarray(np.moveaxis(view, first, -1)), first)
    rows = _axis_to_last(stored, last)  # the rows of the result
    back = np.argsort([axis for axis in order if axis != view.ndim - 1])
    return np.ascontiguousarray(rows.transpose(*back, view.ndim - 1))


def _axis_from_last(array: Shaped[np.ndarray, "..."], axis: int) -> Shaped[np.ndarray, "..."]:
    """`np.moveaxis(array, -1, axis)` in C order."""
    before, after, moved = array.shape[:axis], array.shape[axis:-1], array.shape[-1]
    return _transposed(array.reshape(math.prod(before), -1, moved)).reshape(*before, moved, *after)


def _axis_to_last(array: Shaped[np.ndarray, "..."], axis: int) -> Shaped[np.ndarray, "..."]:
    """`np.moveaxis(array, axis, -1)` in C order."""
    before, moved, after = array.shape[:axis], array.shape[axis], array.shape[axis + 1 :]
    return _transposed(array.reshape(math.prod(before), moved, -1)).reshape(*before, *after, moved)


def _transposed(matrices: Shaped[np.ndarray, "N I J"]) -> Shaped[np.ndarray, "N J I"]:
    result = np.empty((len(matrices), matrices.shape[2], matrices.shape[1]), matrices.dtype)
    bits = np.dtype(f"i{matrices.itemsize}")  # PyTorch takes no bfloat16 from NumPy
    for source, target in zip(matrices.view(bits), result.view(bits), strict=True):
        torch.from_numpy(target).copy_(torch.from_numpy(source).T)
    return result
