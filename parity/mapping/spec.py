"""Compare the tensors that are present with those that are expected, and report all differences at once."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from configs.serialization.printable import printable


class Spec(NamedTuple):
    """Shape and dtype of a tensor."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, array: Any) -> "Spec":
        """Describe an array.

        Args:
            array: A NumPy, JAX or abstract array.

        Returns:
            Its shape and dtype.
        """
        return cls(tuple(array.shape), np.dtype(array.dtype))

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


class WeightsError(ValueError):
    """Tensors do not fit the model. The message lists each of them."""


def check_specs(actual: Mapping[str, Spec], expected: Mapping[str, Spec]) -> None:
    """Check that tensors are exactly those expected.

    Args:
        actual: Specs by name, of the tensors that are present.
        expected: Specs by name, of the tensors of the model.

    Raises:
        WeightsError: With a line for each missing, unexpected, wrongly shaped or wrongly typed tensor.
    """
    lines = [
        f"missing: {printable(name)}, expected {expected[name]}" for name in sorted(expected.keys() - actual.keys())
    ]
    lines += [
        f"unexpected: {printable(name)}, found {actual[name]}" for name in sorted(actual.keys() - expected.keys())
    ]
    both = sorted(expected.keys() & actual.keys())
    lines += [
        f"wrong shape: {printable(name)}, expected {expected[name]}, found {actual[name]}"
        for name in both
        if actual[name].shape != expected[name].shape
    ]
    lines += [
        f"wrong dtype: {printable(name)}, expected {expected[name]}, found {actual[name]}"
        for name in both
        if actual[name].shape == expected[name].shape and actual[name].dtype != expected[name].dtype
    ]
    if lines:
        tensors = "1 tensor does" if len(lines) == 1 else f"{len(lines)} tensors do"
        raise WeightsError("\n  ".join([f"{tensors} not fit the model:", *lines]))
