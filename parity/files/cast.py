"""Cast tensors to another dtype, and measure how much that changes them."""

from dataclasses import dataclass

import ml_dtypes  # noqa: F401  gives NumPy bfloat16
import numpy as np
from jaxtyping import Shaped

from configs.serialization.printable import printable
from parity.mapping.spec import Spec

DTYPES = ("bfloat16", "float16", "float32")
"""Dtypes that parameters may be cast to."""


def cast_specs(specs: dict[str, Spec], dtype: str | None) -> dict[str, Spec]:
    """Give the specs of tensors after a cast.

    Args:
        specs: specs by name.
        dtype: the dtype to cast to; None for no cast.

    Returns:
        The specs by name.
    """
    return specs if dtype is None else {name: Spec(spec.shape, np.dtype(dtype)) for name, spec in specs.items()}


@dataclass
class Cast:
    """Cast tensors to a dtype, and keep the largest relative change |cast - x| / |x| of all their numbers."""

    dtype: str
    largest: float = 0.0
    where: str | None = None

    def __call__(self, name: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """Cast one tensor. Raises ValueError if a finite number becomes infinite."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            cast = array.astype(np.dtype(self.dtype))
            comparable = np.isfinite(array) & (array != 0)
            change = np.where(comparable, np.abs(cast.astype(array.dtype) - array) / np.abs(array), 0)
        largest = float(change.max(initial=0))
        if not np.isfinite(largest):
            raise ValueError(
                f"tensor {printable(name)} does not fit {self.dtype}: its largest number is"
                f" {np.abs(array[comparable]).max()}"
            )
        if largest > self.largest:
            self.largest, self.where = largest, printable(name)
        return cast

    def __str__(self) -> str:
        """Summarize the cast in a phrase."""
        if self.where is None:
            return f"cast to {self.dtype} without any change"
        return f"cast to {self.dtype}: the largest relative change is {self.largest:.2e}, in {self.where}"
