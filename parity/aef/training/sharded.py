"""Test whether training on many devices computes what it computes on one: the same in float64, no worse in float32."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from statistics import mean

import torch
from jax.sharding import Mesh

from aef_jax.sharding.mesh import single_device_mesh
from aef_torch.training.snapshot import Snapshot
from configs.batch import Batch
from configs.config import Config
from parity.aef.training.steps import jax_steps
from parity.aef.training.trajectory import KINDS, Trajectory, TrajectoryDistance, distances, trajectory_distance


class OneDevice:
    """Training on one device, one step per batch, with which any mesh is compared.

    Args:
        config: The config.
        start: The initial state.
        batches: The batches.
        mesh: The mesh of the one device; None for JAX's first device.
    """

    def __init__(self, config: Config, start: Snapshot, batches: Sequence[Batch], mesh: Mesh | None = None):
        self.config, self.start, self.batches = config, start.to(torch.float32), batches
        self.mesh = mesh or single_device_mesh()

    @cached_property
    def truth(self) -> Trajectory:
        """The run in float64."""
        return self._steps("float64", self.mesh)

    @cached_property
    def single(self) -> dict[str, float]:
        """The run's errors in float32, of parameters and of each moment."""
        return errors(self._steps("float32", self.mesh), self.truth)

    def double(self, mesh: Mesh) -> TrajectoryDistance:
        """Measure how far a mesh is from the truth in float64.

        Args:
            mesh: The mesh.

        Returns:
            The distance.
        """
        return trajectory_distance(self._steps("float64", mesh), self.truth)

    def ratio(self, mesh: Mesh) -> float:
        """Divide a mesh's error in float32 by one device's.

        Args:
            mesh: The mesh.

        Returns:
            The largest ratio over parameters and moments.
        """
        meshed = errors(self._steps("float32", mesh), self.truth)
        return max(error / self.single[kind] for kind, error in meshed.items())

    def _steps(self, dtype: str, on: Mesh) -> Trajectory:
        config = replace(self.config, model=replace(self.config.model, compute_dtype=dtype))
        return jax_steps(config, self.start, self.batches, on)


def errors(actual: Trajectory, truth: Trajectory) -> dict[str, float]:
    """Measure the errors of parameters and of each moment, after the first step and at the end.

    The error is the root mean square of the tensors' relative L2. Over all numbers at once, a few large squared
    gradients would decide, and change the result by a third by chance.

    Args:
        actual: The run.
        truth: The run in float64.

    Returns:
        Errors by kind.
    """
    pairs = (actual.first, truth.first), (actual.last, truth.last)
    return {
        kind: mean(e**2 for f, t in pairs for e in distances(getattr(f, kind), getattr(t, kind)).values()) ** 0.5
        for kind in KINDS
    }
