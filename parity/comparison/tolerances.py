"""All bounds of the comparison, in one table. No bound was chosen to let a case pass; each states its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The bounds for a tensor computed in one dtype."""

    relative_l2: float
    """How far JAX may be from PyTorch, whatever their errors; infinite if only the errors count."""
    ratio: float
    """How many times PyTorch's error JAX's may be, both against the float64 oracle."""
    floor_ulp: float
    """Errors up to this many units in the last place of the tensor's scale are rounding, in whatever order."""
    reason: str


TOLERANCES = {
    "float64": Tolerance(
        1e-13,
        float("inf"),
        0.0,
        "The same program in float64: reordered sums differ by 2e-15 after 15 blocks, and a wrong one by far more.",
    ),
    "float32": Tolerance(
        float("inf"),
        2.0,
        4.0,
        "Kernels of equal quality differ by up to 1.65 in error; XLA's erf and exp have 5 ULP where PyTorch's have 1.",
    ),
    "bfloat16": Tolerance(
        float("inf"),
        3.0,
        4.0,
        "Eight bits: which intermediate is rounded is the compiler's choice, and fused code rounds fewer of them.",
    ),
}
"""By dtype. The floor is in ULP of that dtype."""

ULP_FROM_RMS = 0.1
"""ULP are counted where |y| is above this fraction of the tensor's root mean square: near zero they mean nothing."""

ULP_BINS = 16
"""Bins of the histogram of ULP: up to 1/2, 1, 2, 4 and so on to 8192, and above."""

ZERO_EPSILONS = 64
"""A tensor whose root mean square is at most this many epsilons of the largest beside it is zero in exact arithmetic:
what remains is from sums that cancel.
"""

SHARDED_RATIO = 1.2
"""Error of a run on many devices over that of a run on one: only the order of the sums over the batch differs."""

CHAOS_RATIO = 3.0
"""How many times farther two frameworks may drift apart in training than two runs of one framework whose initial
parameters differ by one ULP.
"""
