"""The JAX model as a function of tiles in NumPy arrays, on the devices of this host."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float

from aef_jax.inference.packing import PackedFrames, budget_of, embed_packed, max_present, pack_frames
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import make_mesh, replicated, sequence_parts, sharding, with_mesh
from aef_jax.training.step import abstract_model
from configs.batch import Frames
from configs.config import Config
from configs.mesh import MeshConfig

FRAMES_PER_DEVICE = {"cpu": 256, "accelerator": 512}
"""Frames that a device computes at once, unless one tile has more: their features are most of the memory (ours)."""


def embed_fn(config: Config) -> Callable[[nnx.State, dict[str, Frames], Array], Array]:
    """Make the model's function of its parameters.

    Args:
        config: of the model.

    Returns:
        (parameters, frames, periods) -> unit vectors mu, float32, of shape (sequences, periods, height, width, D).
    """
    graph, _ = abstract_model(config)
    return lambda params, frames, periods: nnx.merge(graph, params)(frames, periods)


class CompiledEmbed:
    """Computes mean directions of batches of tiles; with parameters it is an `Embed`.

    A batch is split over the devices. Frames are packed (see `packing`), so few programs are compiled.

    Args:
        config: of the model.
        devices: of this host; by default all of them.
    """

    def __init__(self, config: Config, devices: Sequence[Any] | None = None):
        self.sources = config.input_sources
        self.mesh: Mesh = make_mesh(MeshConfig(), jax.local_devices() if devices is None else devices)
        graph, _ = abstract_model(config)

        def embed(params: nnx.State, packed: PackedFrames, periods: Float[Array, "B P K2"]):
            return embed_packed(nnx.merge(graph, params), self.sources, packed, periods)

        is_cpu = self.mesh.devices.flat[0].platform == "cpu"
        self.frames_per_device = FRAMES_PER_DEVICE["cpu" if is_cpu else "accelerator"]
        self.program = jax.jit(with_mesh(self.mesh, embed), compiler_options=compiler_options(self.mesh))

    def place(self, params: nnx.State) -> nnx.State:
        """Put parameters on all devices.

        Args:
            params: of the model.

        Returns:
            The parameters there.
        """
        return jax.device_put(params, replicated(self.mesh))

    def __call__(
        self, params: nnx.State, frames: dict[str, Frames], periods: Float[np.ndarray, "B P K2"]
    ) -> Float[Array, "B P H W D"]:
        """Start to compute; see `Embed`.

        Args:
            params: what `place` returned.
            frames: of the tiles, in NumPy arrays.
            periods: codes of their valid periods.

        Returns:
            Unit vectors, perhaps not yet computed.
        """
        count, parts = len(periods), sequence_parts(self.mesh)
        budget = budget_of(max_present(frames))
        size = parts * min(-(-count // parts), max(1, self.frames_per_device // budget))
        fields = []
        for start in range(0, count, size):
            rows = slice(start, start + size)
            packed = pack_frames(jax.tree.map(lambda x, rows=rows: x[rows], frames), self.sources, size, budget)
            codes = np.resize(periods[rows], (size, *periods.shape[1:]))
            fields.append(self.program(params, *jax.device_put((packed, codes), sharding(self.mesh, "sequence"))))
        joined = fields[0] if len(fields) == 1 else jnp.concatenate(fields)
        return joined if len(joined) == count else joined[:count]
