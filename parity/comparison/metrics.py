"""Measure how far two tensors are apart, and whether JAX's error against a float64 oracle exceeds PyTorch's."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from parity.comparison.tolerances import TOLERANCES, ULP_BINS, ULP_FROM_RMS, ZERO_EPSILONS


@dataclass(frozen=True)
class Distance:
    """The distance of an actual tensor from the truth, in four measures."""

    relative_l2: float
    """|actual - truth| / |truth|; infinite if the truth is all zero and the actual tensor is not."""
    max_abs: float
    """The largest |difference|."""
    max_ulp: float
    """In units in the last place of the dtype, where |truth| is above a tenth of its root mean square."""
    cosine: float
    """The cosine of the angle between both."""
    ulp_counts: tuple[int, ...] = (0,) * ULP_BINS
    """How many of these numbers are off by at most 1/2 ULP, 1, 2, 4 and so on; the last counts all above."""

    @classmethod
    def between(cls, actual: Shaped[np.ndarray, "*N"], truth: Shaped[np.ndarray, "*N"], dtype: str) -> "Distance":
        """Measure a tensor. NaN at the same position in both is no difference.

        Args:
            actual: The computed tensor.
            truth: The expected tensor.
            dtype: The dtype whose units in the last place are counted.

        Returns:
            The distance.

        Raises:
            ValueError: If the shapes differ.
        """
        if actual.shape != truth.shape:
            raise ValueError(f"shapes differ: {actual.shape} and {truth.shape}")
        x, y = _aligned(actual.astype(np.float64), truth.astype(np.float64))
        error, size, other = np.linalg.norm(x - y), np.linalg.norm(y), np.linalg.norm(x)
        in_ulp = ulps(x, y, dtype)
        if not x.size or (error == 0 and np.array_equal(x, y)):
            return cls(0.0, 0.0, 0.0, 1.0, _counts(in_ulp))
        with np.errstate(invalid="ignore"):  # for infinities that only one has
            relative = float(error / size) if size else float("inf")
            cosine = float((x * y).sum() / (size * other)) if size and other else 0.0
        return cls(relative, float(np.abs(x - y).max()), float(in_ulp.max(initial=0)), cosine, _counts(in_ulp))


def ulps(actual: Float[np.ndarray, "*N"], truth: Float[np.ndarray, "*N"], dtype: str) -> Float[np.ndarray, "M"]:
    """Measure |actual - truth| in units in the last place of `dtype` at the truth, where the truth is not near zero.

    Args:
        actual: The computed tensor.
        truth: The expected tensor.
        dtype: The dtype.

    Returns:
        The differences of the numbers that count.
    """
    size = np.abs(truth)
    counted = size > ULP_FROM_RMS * _rms(truth)
    unit = jnp.finfo(jnp.dtype(dtype)).eps * np.exp2(np.floor(np.log2(size[counted])))
    return np.abs(actual - truth)[counted] / unit


def _counts(in_ulp: Float[np.ndarray, "M"]) -> tuple[int, ...]:
    doublings = np.ceil(np.log2(np.maximum(np.nan_to_num(in_ulp, nan=np.inf), 0.5))) + 1
    counts = np.bincount(np.minimum(doublings, ULP_BINS - 1).astype(int), minlength=ULP_BINS)
    return tuple(counts.tolist())


@dataclass(frozen=True)
class TensorComparison:
    """One tensor, computed by both frameworks in one dtype."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    jax: Distance
    """JAX's distance from the oracle."""
    torch: Distance
    """PyTorch's distance from the oracle."""
    distance: Distance
    """JAX's distance from PyTorch."""
    floor: float
    """Relative L2 of an error that is only rounding."""
    near: bool
    """Whether JAX is as near to PyTorch as the dtype requires, whatever their errors."""

    @property
    def passed(self) -> bool:
        """Whether it is near enough and its ratio is within the bound."""
        return self.near and self.ratio <= TOLERANCES[self.dtype].ratio

    @property
    def ratio(self) -> float:
        """JAX's error over PyTorch's, both counted from the floor up."""
        return error_ratio(self.jax.relative_l2, self.torch.relative_l2, self.floor)


def compare_tensor(
    name: str,
    dtype: str,
    jax: Shaped[np.ndarray, "*N"],
    torch: Shaped[np.ndarray, "*N"],
    oracle: Float[np.ndarray, "*N"],
    scale: float = 0.0,
) -> TensorComparison:
    """Measure one tensor.

    A tensor that is only rounding relative to `scale`, such as the gradient of a bias before a softmax, is zero in
    exact arithmetic: it has no error to measure, and passes if JAX's is only rounding as well.

    Args:
        name: The tensor's name.
        dtype: The dtype that both computed in.
        jax: JAX's tensor.
        torch: PyTorch's tensor.
        oracle: PyTorch's tensor in float64.
        scale: The largest root mean square of the tensors that it is compared with.

    Returns:
        The comparison.

    Raises:
        ValueError: If the shapes differ.
    """
    tolerance = TOLERANCES[dtype]
    jax, torch, oracle = (_real(array) for array in (jax, torch, oracle))
    if 0 < _rms(oracle) <= ZERO_EPSILONS * np.finfo(np.float64).eps * scale:
        bound = ZERO_EPSILONS * float(jnp.finfo(jnp.dtype(dtype)).eps) * scale
        none = Distance(0.0, float(np.abs(jax - oracle).max()), 0.0, 1.0)
        return TensorComparison(name, dtype, tuple(oracle.shape), none, none, none, bound, _rms(jax) <= bound)
    from_oracle, torch_from_oracle, distance = (
        Distance.between(*pair, dtype) for pair in ((jax, oracle), (torch, oracle), (jax, torch))
    )
    near = distance.relative_l2 <= tolerance.relative_l2
    return TensorComparison(
        name, dtype, tuple(oracle.shape), from_oracle, torch_from_oracle, distance, rounding_error(dtype), near
    )


def rounding_error(dtype: str) -> float:
    """Return the relative L2 of an error that is only rounding, in whatever order.

    Args:
        dtype: The dtype.

    Returns:
        The error.
    """
    return TOLERANCES[dtype].floor_ulp * float(jnp.finfo(jnp.dtype(dtype)).eps) / 2


def rms(arrays: Iterable[Shaped[np.ndarray, "..."]]) -> float:
    """Return the largest root mean square of several tensors.

    Args:
        arrays: The tensors.

    Returns:
        The largest; 0 if there are none.
    """
    return max(map(_rms, arrays), default=0.0)


def _real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Convert complex numbers to two real ones each, on an additional axis."""
    return np.stack([np.real(array), np.imag(array)], axis=-1) if np.iscomplexobj(array) else array


def _rms(array: Shaped[np.ndarray, "..."]) -> float:
    return float(np.sqrt(np.mean(np.square(np.abs(array).astype(np.float64))))) if array.size else 0.0


def error_ratio(error: float, reference: float, floor: float) -> float:
    """Divide an error by another, both counted from the floor up.

    Args:
        error: JAX's error.
        reference: PyTorch's error.
        floor: The error that is only rounding.

    Returns:
        The ratio; at most 1 if the error is below the floor.
    """
    if error <= floor or error == 0:
        return min(1.0, error / reference) if reference else 0.0 if error == 0 else 1.0
    return error / max(reference, floor) if max(reference, floor) else float("inf")


def _aligned(x: Float[np.ndarray, "*N"], y: Float[np.ndarray, "*N"]) -> tuple[np.ndarray, np.ndarray]:
    """Set numbers to zero where both hold the same non-finite value; a non-finite value in only one stays."""
    same = ~np.isfinite(y) & ((x == y) | (np.isnan(x) & np.isnan(y)))
    return (np.where(same, 0, x), np.where(same, 0, y)) if same.any() else (x, y)
