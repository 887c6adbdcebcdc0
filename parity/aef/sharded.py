"""Whether training on many devices computes what it computes on one: in float64 the same, in float32 no worse."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from jax.sharding import Mesh

from aef_torch.snapshot import Snapshot
from configs.batch import Batch
from configs.run import Config
from parity.aef.steps import jax_steps
from parity.aef.trajectory import Apart, Trajectory, apart


class OneDevice:
    """A step for each batch on one device, which any mesh is compared with."""

    def __init__(self, config: Config, start: Snapshot, batches: Sequence[Batch]):
        self.config, self.start, self.batches = config, start.to(torch.float32), batches

    @cached_property
    def truth(self) -> Trajectory:
        """In float64."""
        return self._steps("float64", None)

    @cached_property
    def single(self) -> Apart:
        """How far it is in float32 from its own truth."""
        return apart(self._steps("float32", None), self.truth)

    def double(self, mesh: Mesh) -> Apart:
        """How far a mesh is from the truth in float64."""
        return apart(self._steps("float64", mesh), self.truth)

    def ratio(self, mesh: Mesh) -> float:
        """A mesh's error in float32 as a multiple of one device's: the worst of parameters and moments at the end."""
        meshed = apart(self._steps("float32", mesh), self.truth)
        return max(error / self.single.last[kind] for kind, error in meshed.last.items())

    def _steps(self, dtype: str, on: Mesh | None) -> Trajectory:
        config = replace(self.config, model=replace(self.config.model, compute_dtype=dtype))
        return jax_steps(config, self.start, self.batches, on)
