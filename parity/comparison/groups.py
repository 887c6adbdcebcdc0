"""Group the tensors of a sub-module that pass or fail together: all of one direction, in one dtype."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from parity.comparison.metrics import error_ratio, rounding_error
from parity.comparison.pair import Measurement
from parity.comparison.tolerances import TOLERANCES

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Group:
    """Every tensor of a sub-module's outputs and updated state, or of its gradients, over all its calls.

    Whether the error of a small tensor, such as one of four numbers, is above PyTorch's is chance. The root mean square
    over a sub-module's tensors and calls, and the median tensor, do not depend on chance. So a sub-module passes by its
    own ratio and not by each tensor's, but each tensor must be as near to PyTorch's as the dtype requires.
    """

    label: str
    dtype: str
    direction: str
    members: tuple[Measurement, ...]

    @property
    def jax(self) -> float:
        """Root mean square of JAX's relative L2 errors; each tensor counts the same, large or small."""
        return _rms(m.tensor.jax.relative_l2 for m in self.members)

    @property
    def torch(self) -> float:
        """Root mean square of PyTorch's relative L2 errors."""
        return _rms(m.tensor.torch.relative_l2 for m in self.members)

    @property
    def ratio(self) -> float:
        """JAX's error over PyTorch's, both counted from the rounding error up.

        It is the median tensor's ratio if that is larger: in the root mean square, a tensor with large errors in both
        frameworks outweighs all others.
        """
        return max(error_ratio(self.jax, self.torch, rounding_error(self.dtype)), self.median)

    @property
    def median(self) -> float:
        """The ratio that half of the tensors reach or exceed."""
        return float(np.median([m.tensor.ratio for m in self.members]))

    @property
    def worst(self) -> Measurement:
        """The tensor with the largest ratio; tensors that are not near enough come first."""
        return max(self.members, key=lambda m: (not m.tensor.near, m.tensor.ratio, m.tensor.jax.relative_l2))

    @property
    def max_ulp(self) -> float:
        """JAX's largest error in units in the last place."""
        return max(m.tensor.jax.max_ulp for m in self.members)

    @property
    def passed(self) -> bool:
        """Whether every tensor is near enough and the ratio is within its bound."""
        return all(m.tensor.near for m in self.members) and self.ratio <= TOLERANCES[self.dtype].ratio

    @property
    def failing(self) -> list[Measurement]:
        """The tensors that made it fail, at least one; empty if it passed."""
        return [] if self.passed else [m for m in self.members if not m.tensor.passed] or [self.worst]

    @property
    def failure(self) -> str:
        """One sentence on why it did not pass."""
        too_far = [m for m in self.members if not m.tensor.near]
        if too_far:
            worst, others = self.worst, f"; so are {len(too_far) - 1} more" if len(too_far) > 1 else ""
            return (
                f"{worst.title} is {worst.tensor.distance.relative_l2:.1e} from PyTorch's,"
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
    """Group measurements by label, dtype and direction.

    Args:
        measured: The measurements.

    Returns:
        The groups, in the order in which they first occur.
    """
    members: dict[tuple[str, str, str], list[Measurement]] = {}
    for measurement in measured:
        key = measurement.label, measurement.tensor.dtype, FORWARD if measurement.forward else BACKWARD
        members.setdefault(key, []).append(measurement)
    return [Group(*key, tuple(of_key)) for key, of_key in members.items()]


def _rms(errors: Iterable[float]) -> float:
    return float(np.sqrt(np.mean(np.square(list(errors)))))
