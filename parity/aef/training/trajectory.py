"""What a few steps of training gave, in either framework, and how far apart two such trajectories are."""

from dataclasses import dataclass

import torch

from aef_torch.training.snapshot import Snapshot, Tensors

KINDS = ("params", "exp_avg", "exp_avg_sq")
"""Of the tensors of a state."""


@dataclass(frozen=True)
class Trajectory:
    """Of N steps from one start."""

    terms: list[dict[str, float]]
    """What each step returned, by the names that both frameworks use."""
    first: Snapshot
    """After the first step."""
    last: Snapshot


@dataclass(frozen=True)
class TrajectoryDistance:
    """How far one trajectory is from another, relative to that other."""

    terms: dict[str, list[float]]
    """|difference| of each step, by term; of what is 0 in the other, the difference itself."""
    first: dict[str, float]
    """After the first step, L2 over all tensors of `params`, `exp_avg` and `exp_avg_sq`."""
    last: dict[str, float]


def trajectory_distance(actual: Trajectory, truth: Trajectory) -> TrajectoryDistance:
    """Raises ValueError where the two are not of as many steps, or have not the same terms or tensors."""
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
    """Relative L2 distance of all tensors together."""
    names = _same_names(actual, truth)
    error = sum(float(torch.sum((actual[name].double() - truth[name].double()) ** 2)) for name in names)
    size = sum(float(torch.sum(truth[name].double() ** 2)) for name in names)
    return _relative_size(error**0.5, size**0.5)


def distances(actual: Tensors, truth: Tensors) -> dict[str, float]:
    """Relative L2 distance of each tensor."""
    return {name: distance({name: actual[name]}, {name: truth[name]}) for name in _same_names(actual, truth)}


def _relative(actual: float, truth: float) -> float:
    return _relative_size(abs(actual - truth), abs(truth))


def _relative_size(error: float, size: float) -> float:
    return error / size if size else error


def _same_names(actual: dict, truth: dict) -> list[str]:
    if actual.keys() != truth.keys():
        raise ValueError(f"one alone has {sorted(actual.keys() ^ truth.keys())}, expected the same names in both")
    return list(truth)
