"""Whether training on many devices computes what it computes on one: in float64 the same, in float32 no worse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jax.sharding import Mesh

from aef_torch.snapshot import Snapshot
from configs.batch import Batch
from configs.run import Config
from parity.aef.steps import jax_steps
from parity.aef.trajectory import Trajectory, apart


@dataclass(frozen=True)
class Sharded:
    """Of `params`, `exp_avg` and `exp_avg_sq` after the last step, relative L2 over all tensors."""

    double: dict[str, float]
    """In float64, how far the mesh is from one device."""
    alone: dict[str, float]
    """How far one device in float32 is from one in float64."""
    meshed: dict[str, float]
    """How far the mesh in float32 is from one device in float64."""

    @property
    def ratio(self) -> float:
        """The mesh's error in float32 as a multiple of one device's, the worst of the three."""
        return max(error / self.alone[kind] for kind, error in self.meshed.items())


def sharded(config: Config, start: Snapshot, batches: Sequence[Batch], mesh: Mesh) -> Sharded:
    """Takes a step for each batch, four times: on `mesh` and on one device, in float32 and in float64."""
    start = start.to(torch.float32)

    def steps(dtype: str, on: Mesh | None) -> Trajectory:
        return jax_steps(replace(config, model=replace(config.model, compute_dtype=dtype)), start, batches, on)

    truth = steps("float64", None)
    double, alone, meshed = (
        apart(steps(dtype, on), truth).last for dtype, on in (("float64", mesh), ("float32", None), ("float32", mesh))
    )
    return Sharded(double, alone, meshed)
