"""The settings of `aef-parity check`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # --help must not wait for two frameworks to be imported
    from parity.comparison.compare import Progress

DTYPES = ("float64", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """The settings that all sections share."""

    dtypes: tuple[str, ...] = DTYPES
    """Dtypes in which the sub-modules are compared."""
    steps: int = 100
    """Training steps in float32; in float64 twice as many."""
    seeds: int = 3
    """Random batches on which the sub-modules are compared; their tensors are grouped."""
    progress: "Progress" = lambda iterable, _: iterable


SECTIONS = {
    "weights": 0.1,
    "files": 1,
    "modules": 60,
    "terms": 5,
    "embedding": 8,
    "loops": 20,
    "training": 60,
    "devices": 40,
}
"""The sections in the order in which they run, each with its rough share of the time."""
