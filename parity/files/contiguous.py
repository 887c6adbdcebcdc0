"""Arrays in C order out of views with permuted axes, in a fraction of the time that NumPy takes to copy them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Shaped

SMALL = 2**14
"""Numbers, below which it makes no difference."""
_SPARE: list[np.ndarray] = []
"""Memory to be used again, as much as was ever used at once: new memory takes as long as a transposition."""


def contiguous(view: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """The same numbers in C order; the array itself, where it is so already."""
    if view.flags.c_contiguous:
        return view
    array = np.empty(view.shape, view.dtype)
    fill(array, view)
    return array


def fill(array: Shaped[np.ndarray, "..."], view: Shaped[np.ndarray, "..."]) -> None:
    """`array[...] = view`, for an array in C order and a view of the same shape and dtype.

    A layout's permutation is one that keeps long rows whole, which NumPy is fast at, and one transposition of matrices,
    which PyTorch does in blocks that fit the cache.
    """
    order = np.argsort(view.strides)[::-1]
    stored = view.transpose(order)  # the axes as they lie in memory
    if view.size < SMALL or not stored.flags.c_contiguous or order[-1] == view.ndim - 1:
        array[...] = view
        return
    axis, last = int(order[-1]), int(np.flatnonzero(order == view.ndim - 1)[0])
    if view.shape[axis] >= view.shape[-1]:  # the rows in memory are the longer ones: they are kept whole first
        kept = np.moveaxis(view, axis, -1)
        with _scratch(kept) as rows:
            rows[...] = kept
            _transpose(array.reshape(math.prod(view.shape[:axis]), view.shape[axis], -1), rows)
        return
    with _scratch(np.moveaxis(stored, last, -1)) as rows:  # those of the result
        _transpose(rows.reshape(math.prod(stored.shape[:last]), -1, view.shape[-1]), stored)
        array[...] = rows.transpose(*np.argsort([one for one in order if one != view.ndim - 1]), view.ndim - 1)


@contextmanager
def _scratch(like: Shaped[np.ndarray, "..."]) -> Iterator[Shaped[np.ndarray, "..."]]:
    """An array in C order, of any numbers, with the shape and dtype of another."""
    try:
        memory = _SPARE.pop()
    except IndexError:
        memory = np.empty(0, np.uint8)
    if len(memory) < like.nbytes:
        memory = np.empty(like.nbytes, np.uint8)
    try:
        yield memory[: like.nbytes].view(like.dtype).reshape(like.shape)
    finally:
        _SPARE.append(memory)


def _transpose(targets: Shaped[np.ndarray, "N I J"], sources: Shaped[np.ndarray, "..."]) -> None:
    """Fills matrices with the transposed ones that lie in `sources`, which is in C order."""
    bits = np.dtype(f"i{targets.itemsize}")  # PyTorch takes no bfloat16 from NumPy
    matrices = sources.reshape(len(targets), targets.shape[2], targets.shape[1])
    for source, target in zip(matrices.view(bits), targets.view(bits), strict=True):
        torch.from_numpy(target).copy_(torch.from_numpy(source).T)
