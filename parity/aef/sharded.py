"""Whether training on many devices computes what it computes on one: in float64 the same, in float32 no worse."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jax.sharding import Mesh

from aef_torch.snapshot import Snapshot
from configs.batch import Batch
from configs.run import Config
from parity.aef.steps import jax_steps
from parity.aef.trajectory import Apart, Trajectory, apart


@dataclass(frozen=True)
class Sharded:
    """How far a mesh and one device are from the truth, which is one device in float64."""

    double: Apart
    """The mesh in float64."""
    alone: Apart
    """One device in float32."""
    meshed: Apart
    """The mesh in float32."""

    @property
    def ratio(self) -> float:
        """The mesh's error in float32 as a multiple of one device's, the worst of parameters and moments at the end."""
        return max(error / self.alone.last[kind] for kind, error in self.meshed.last.items())


def sharded(config: Config, start: Snapshot, batches: Sequence[Batch], meshes: Iterable[Mesh]) -> Iterator[Sharded]:
    """Takes a step for each batch on one device and on each of `meshes`, in float32 and in float64."""
    start = start.to(torch.float32)

    def steps(dtype: str, on: Mesh | None) -> Trajectory:
        return jax_steps(replace(config, model=replace(config.model, compute_dtype=dtype)), start, batches, on)

    truth = steps("float64", None)
    alone = apart(steps("float32", None), truth)
    for mesh in meshes:
        yield Sharded(apart(steps("float64", mesh), truth), alone, apart(steps("float32", mesh), truth))
