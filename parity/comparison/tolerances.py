"""All bounds of the comparison, in one table. None was chosen to let a case pass; each says what it comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """What a tensor must satisfy, computed in one dtype."""

    relative_l2: float
    """JAX and PyTorch may lie so far apart, whatever their errors; infinite where only the errors count."""
    ratio: float
    """JAX's error may be so many times PyTorch's, both against the float64 oracle."""
    floor_ulp: float
    """Errors of so few units in the last place of the tensor's scale are rounding, in whatever order they come."""
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
"""ULP are counted where |y| is above so much of the tensor's root mean square: nearer to zero they say nothing."""

ULP_BINS = 16
"""Of the histogram of ULP: up to 1/2, 1, 2, 4 and so on to 8192, and above."""

ZERO_EPSILONS = 64
"""A tensor whose root mean square is so many epsilons of the largest beside it is zero in exact arithmetic: what is
there is left of sums that cancel."""

SHARDED_RATIO = 1.2
"""A run on many devices against a run on one: only the order of the sums over the batch differs."""

CHAOS_RATIO = 3.0
"""Two frameworks may drift apart in training so many times as far as two runs of one whose starts differ by one ULP."""
