"""Hold the results of a few training steps, in either framework, and measure how far two of them are apart."""

from dataclasses import dataclass

import torch

from aef_torch.training.snapshot import Snapshot, Tensors

KINDS = ("params", "exp_avg", "exp_avg_sq")
"""The kinds of tensors of a state."""


@dataclass(frozen=True)
class Trajectory:
    """N steps from one initial state."""

    terms: list[dict[str, float]]
    """What each step returned, by the names that both frameworks use."""
    first: Snapshot
    """The state after the first step."""
    last: Snapshot


@dataclass(frozen=True)
class TrajectoryDistance:
    """How far one trajectory is from another, relative to the other."""

    terms: dict[str, list[float]]
    """|difference| of each step, by term; absolute if the other is 0."""
    first: dict[str, float]
    """L2 over all tensors of `params`, `exp_avg` and `exp_avg_sq` after the first step."""
    last: dict[str, float]


def trajectory_distance(actual: Trajectory, truth: Trajectory) -> TrajectoryDistance:
    """Measure how far two trajectories are apart.

    Args:
        actual: The trajectory.
        truth: The trajectory that the distance is relative to.

    Returns:
        The distance.

    Raises:
        ValueError: If they differ in the number of steps, in the terms or in the tensors.
    """
    terms = {
        name: [_relative(f[name], t[name]) for f, t in zip(actual.terms, truth.terms, strict=True)]
        for name in _same_names(actual.terms[0], truth.terms[0])
    }
    first, last = (
        {kind: distance(getattr(f, kind), getattr(t, kind)) for kind in KINDS}
        for f, t in ((actual.first, truth.first), (actual.last, truth.last))
    )
    return TrajectoryDistance(terms, first, last)


def distance(actual: Tensors, truth: Tensors) -> float:
    """Measure the relative L2 distance of all tensors together.

    Args:
        actual: Tensors by name.
        truth: Tensors by name.

    Returns:
        The distance.
    """
    names = _same_names(actual, truth)
    error = sum(float(torch.sum((actual[name].double() - truth[name].double()) ** 2)) for name in names)
    size = sum(float(torch.sum(truth[name].double() ** 2)) for name in names)
    return _relative_size(error**0.5, size**0.5)


def distances(actual: Tensors, truth: Tensors) -> dict[str, float]:
    """Measure the relative L2 distance of each tensor.

    Args:
        actual: Tensors by name.
        truth: Tensors by name.

    Returns:
        Distances by name.
    """
    return {name: distance({name: actual[name]}, {name: truth[name]}) for name in _same_names(actual, truth)}


def _relative(actual: float, truth: float) -> float:
    return _relative_size(abs(actual - truth), abs(truth))


def _relative_size(error: float, size: float) -> float:
    return error / size if size else error


def _same_names(actual: dict, truth: dict) -> list[str]:
    if actual.keys() != truth.keys():
        raise ValueError(f"only one has {sorted(actual.keys() ^ truth.keys())}, expected the same names in both")
    return list(truth)
