"""Tensors in another dtype, and how much that changes them."""

from dataclasses import dataclass, field
from threading import Lock

import ml_dtypes  # noqa: F401  gives NumPy bfloat16
import numpy as np
from jaxtyping import Shaped

from parity.mapping.spec import Spec

DTYPES = ("bfloat16", "float16", "float32")
"""What parameters may be cast to."""


def cast_specs(specs: dict[str, Spec], dtype: str | None) -> dict[str, Spec]:
    """What tensors are after a cast, or without one."""
    return specs if dtype is None else {name: Spec(spec.shape, np.dtype(dtype)) for name, spec in specs.items()}


@dataclass
class Cast:
    """Casts tensors to `dtype`, and remembers the largest relative change |cast - x| / |x| of any number of them.

    For any number of threads.
    """

    dtype: str
    largest: float = 0.0
    where: str | None = None
    lock: Lock = field(default_factory=Lock, repr=False)

    def __call__(self, name: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """Raises ValueError where a finite number has no finite neighbour in `dtype`."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            cast = array.astype(np.dtype(self.dtype))
            there = np.isfinite(array) & (array != 0)
            change = np.where(there, np.abs(cast.astype(array.dtype) - array) / np.abs(array), 0)
        largest = float(change.max(initial=0))
        if not np.isfinite(largest):
            raise ValueError(
                f"tensor {name} does not fit {self.dtype}: its largest number is {np.abs(array[there]).max()}"
            )
        with self.lock:
            if largest > self.largest:
                self.largest, self.where = largest, name
        return cast

    def __str__(self) -> str:
        """What was done, for a summary."""
        if self.where is None:
            return f"cast to {self.dtype} without any change"
        return f"cast to {self.dtype}: the largest relative change is {self.largest:.2e}, in {self.where}"
