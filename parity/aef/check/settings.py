"""What can be asked of a check."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command's --help should not wait for two frameworks to be imported
    from parity.comparison.compare import Progress

DTYPES = ("float64", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """The same for all sections."""

    dtypes: tuple[str, ...] = DTYPES
    """In which the sub-modules are compared."""
    steps: int = 100
    """Of training, in float32; in float64 it is twice as many."""
    seeds: int = 3
    """Random batches that the sub-modules are compared on; their tensors are judged together."""
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
"""In the order in which they run, each with its share of the time, roughly."""
