"""What is judged of a sub-module: all tensors of one direction together, in one dtype."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from parity.comparison.metrics import error_ratio, rounding_error
from parity.comparison.pair import Measurement
from parity.comparison.tolerances import TOLERANCES

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Group:
    """Every tensor of a sub-module's outputs, or of its gradients, over all its calls.

    The error of a small tensor, of four numbers, is above or below PyTorch's by chance; that of a sub-module is not, as
    the root mean square over its tensors and calls, and as the median tensor. So a sub-module passes by its own ratio,
    not by each tensor's; but each must be as near to PyTorch's as the dtype asks for.
    """

    label: str
    dtype: str
    direction: str
    members: tuple[Measurement, ...]

    @property
    def jax(self) -> float:
        """Root mean square of the relative L2 errors; each tensor counts alike, large or small."""
        return _rms(m.tensor.jax.relative_l2 for m in self.members)

    @property
    def torch(self) -> float:
        """The same of PyTorch."""
        return _rms(m.tensor.torch.relative_l2 for m in self.members)

    @property
    def ratio(self) -> float:
        """JAX's error over PyTorch's, neither counted below what is mere rounding.

        That of the median tensor where it is larger: beside one whose errors are large in both frameworks, those of all
        others hardly count in the root mean square.
        """
        return max(error_ratio(self.jax, self.torch, rounding_error(self.dtype)), self.median)

    @property
    def median(self) -> float:
        """Half of the tensors have at least this ratio."""
        return float(np.median([m.tensor.ratio for m in self.members]))

    @property
    def worst(self) -> Measurement:
        """The tensor that is furthest from being as good as PyTorch's; of those that are not near enough, first."""
        return max(self.members, key=lambda m: (not m.tensor.near, m.tensor.ratio, m.tensor.jax.relative_l2))

    @property
    def max_ulp(self) -> float:
        return max(m.tensor.jax.max_ulp for m in self.members)

    @property
    def passed(self) -> bool:
        return all(m.tensor.near for m in self.members) and self.ratio <= TOLERANCES[self.dtype].ratio

    @property
    def failing(self) -> list[Measurement]:
        """None where it passed; else at least one."""
        return [] if self.passed else [m for m in self.members if not m.tensor.passed] or [self.worst]

    @property
    def failure(self) -> str:
        """In one sentence, why it did not pass."""
        too_far = [m for m in self.members if not m.tensor.near]
        if too_far:
            worst, others = self.worst, f", and so {len(too_far) - 1} more" if len(too_far) > 1 else ""
            return (
                f"{worst.title} lies {worst.tensor.distance.relative_l2:.1e} from PyTorch's,"
                f" more than {TOLERANCES[self.dtype].relative_l2:.0e}{others}"
            )
        of = (
            f" in half of the {len(self.members)} tensors"
            if self.ratio == self.median and len(self.members) > 1
            else ""
        )
        return (
            f"JAX's error is {self.ratio:.2f} times PyTorch's{of}, more than {TOLERANCES[self.dtype].ratio:g}:"
            f" {self.jax:.1e} and {self.torch:.1e} from the float64 oracle"
        )


def group_tensors(measured: Iterable[Measurement]) -> list[Group]:
    """In the order in which they are first met; forward before backward."""
    members: dict[tuple[str, str, str], list[Measurement]] = {}
    for measurement in measured:
        key = measurement.label, measurement.tensor.dtype, FORWARD if measurement.kind == "output" else BACKWARD
        members.setdefault(key, []).append(measurement)
    return [Group(*key, tuple(of_key)) for key, of_key in members.items()]


def _rms(errors: Iterable[float]) -> float:
    return float(np.sqrt(np.mean(np.square(list(errors)))))
