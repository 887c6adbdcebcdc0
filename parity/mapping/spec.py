"""What does not fit between the tensors that are there and those that are expected, all of it at once."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

LONGEST_NAME = 200
"""Characters of a name that a message repeats at most."""


class Spec(NamedTuple):
    """What a tensor is, without its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, array: Any) -> "Spec":
        """Of an array of NumPy or JAX, or an abstract one."""
        return cls(tuple(array.shape), np.dtype(array.dtype))

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


class WeightsError(ValueError):
    """Tensors do not fit the model; the message lists every one of them."""


def printable(name: str) -> str:
    """A name out of a file, as it is printed: what a terminal would obey is escaped, what is very long cut short."""
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:LONGEST_NAME])
    return text if len(name) <= LONGEST_NAME else f"{text}..."


def check_specs(actual: Mapping[str, Spec], expected: Mapping[str, Spec]) -> None:
    """Raises WeightsError, with a line for each missing, unexpected, wrongly shaped or wrongly typed tensor."""
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
