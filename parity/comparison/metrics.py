"""How far two tensors lie apart, and whether JAX's error is no worse than PyTorch's against a float64 oracle."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from parity.comparison.tolerances import TOLERANCES, ULP_BINS, ULP_FROM_RMS, ZERO_EPSILONS


@dataclass(frozen=True)
class Distance:
    """Between what was found and what it should be, in four measures."""

    relative_l2: float
    """|found - truth| / |truth|; infinite where the truth is all zero and what was found is not."""
    max_abs: float
    max_ulp: float
    """In units in the last place of the dtype, where |truth| is above a tenth of its root mean square."""
    cosine: float
    ulp_counts: tuple[int, ...] = (0,) * ULP_BINS
    """How many of these numbers are off by at most 1/2 ULP, 1, 2, 4 and so on; the last holds all above."""

    @classmethod
    def between(cls, actual: Shaped[np.ndarray, "*N"], truth: Shaped[np.ndarray, "*N"], dtype: str) -> "Distance":
        """Raises ValueError where the shapes differ. NaN in both at the same place is no difference."""
        if actual.shape != truth.shape:
            raise ValueError(f"shapes differ: {actual.shape} and {truth.shape}")
        x, y = _aligned(actual.astype(np.float64), truth.astype(np.float64))
        error, size, other = np.linalg.norm(x - y), np.linalg.norm(y), np.linalg.norm(x)
        in_ulp = ulps(x, y, dtype)
        if not x.size or (error == 0 and np.array_equal(x, y)):
            return cls(0.0, 0.0, 0.0, 1.0, _counts(in_ulp))
        with np.errstate(invalid="ignore"):  # of infinities that only one has
            relative = float(error / size) if size else float("inf")
            cosine = float((x * y).sum() / (size * other)) if size and other else 0.0
        return cls(relative, float(np.abs(x - y).max()), float(in_ulp.max(initial=0)), cosine, _counts(in_ulp))


def ulps(actual: Float[np.ndarray, "*N"], truth: Float[np.ndarray, "*N"], dtype: str) -> Float[np.ndarray, "M"]:
    """|found - truth| in units in the last place of `dtype` at the truth, where that is not near zero."""
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
    """From the oracle."""
    torch: Distance
    """From the oracle."""
    distance: Distance
    """JAX from PyTorch."""
    floor: float
    """Relative L2 of an error that is mere rounding."""
    near: bool
    """Whether the two are as near to each other as they have to be, whatever their errors."""

    @property
    def passed(self) -> bool:
        return self.near and self.ratio <= TOLERANCES[self.dtype].ratio

    @property
    def ratio(self) -> float:
        """JAX's error over PyTorch's, neither counted below the floor."""
        return error_ratio(self.jax.relative_l2, self.torch.relative_l2, self.floor)


def compare_tensor(
    name: str,
    dtype: str,
    jax: Shaped[np.ndarray, "*N"],
    torch: Shaped[np.ndarray, "*N"],
    oracle: Float[np.ndarray, "*N"],
    scale: float = 0.0,
) -> TensorComparison:
    """Measures one tensor. `scale` is the largest root mean square of those that it is one of.

    What is nothing but rounding beside that scale, as the gradient of a bias before a softmax, is zero in exact
    arithmetic: there is no error to measure, and it passes where JAX has nothing but rounding either.
    Raises ValueError where the shapes differ.
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
    """Relative L2 of an error that is nothing but rounding, in whatever order."""
    return TOLERANCES[dtype].floor_ulp * float(jnp.finfo(jnp.dtype(dtype)).eps) / 2


def rms(arrays: Iterable[Shaped[np.ndarray, "..."]]) -> float:
    """The largest root mean square of several tensors; 0 of none."""
    return max(map(_rms, arrays), default=0.0)


def _real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Complex numbers as two real ones each, on an axis more."""
    return np.stack([np.real(array), np.imag(array)], axis=-1) if np.iscomplexobj(array) else array


def _rms(array: Shaped[np.ndarray, "..."]) -> float:
    return float(np.sqrt(np.mean(np.square(np.abs(array).astype(np.float64))))) if array.size else 0.0


def error_ratio(error: float, reference: float, floor: float) -> float:
    """An error over another, neither counted below the floor; at most 1 for what is itself below."""
    if error <= floor or error == 0:
        return min(1.0, error / reference) if reference else 0.0 if error == 0 else 1.0
    return error / max(reference, floor) if max(reference, floor) else float("inf")


def _aligned(x: Float[np.ndarray, "*N"], y: Float[np.ndarray, "*N"]) -> tuple[np.ndarray, np.ndarray]:
    """Without the places where both hold the same that is not finite; what is not finite in one alone stays."""
    same = ~np.isfinite(y) & ((x == y) | (np.isnan(x) & np.isnan(y)))
    return (np.where(same, 0, x), np.where(same, 0, y)) if same.any() else (x, y)
