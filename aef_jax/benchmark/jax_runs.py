"""What is timed of JAX: the step that trains, and the embedder, compiled."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax

from aef_jax.inference.embed import embedder
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.host_memory import keep_memory
from aef_jax.sharding.mesh import SEQ, batch_shardings, check_batch, make_mesh, sharding, with_mesh
from aef_jax.sharding.placement import fill_frames, put, to_devices
from aef_jax.training.step import init_state, make_train_step
from aef_jax.training.throughput import peak_bytes as peak_bytes  # what a worker asks of this module
from configs.config import Config
from configs.fake_batch import random_batch, random_periods
from configs.mesh import MeshConfig


def prepare(config: Config, task: Any) -> Callable[[], None]:
    """What runs once on the devices, and waits for it. `task` is a `Task`.

    Raises ValueError where there are not the devices that the mesh asks for, or they do not divide the batch.
    """
    keep_memory()
    sequences = config.training.batch
    devices = used_devices(config.mesh, jax.devices())
    mesh = make_mesh(replace(config.mesh, data=-1), devices)
    check_batch(sequences, mesh)
    batch, _ = random_batch(config, config.data.tile_side, sequences=sequences, full=True)
    batch = fill_frames(batch, mesh.shape[SEQ])
    state = init_state(config, mesh)
    if task.kind == "forward":
        frames = put(batch.frames, batch_shardings(batch, mesh).frames)
        periods = put(random_periods(1, sequences=sequences), sharding(mesh, "sequence"))
        embed = jax.jit(with_mesh(mesh, embedder(config)), compiler_options=compiler_options(mesh))

        def forward() -> None:
            jax.block_until_ready(embed(state.params, frames, periods))

        return forward
    step, on_devices = make_train_step(config, mesh), to_devices(batch, mesh)
    kept = [state]

    def run() -> None:
        kept[0], _ = jax.block_until_ready(step(kept[0], on_devices))

    return run


def used_devices(mesh: MeshConfig, devices: Sequence[Any]) -> Sequence[Any]:
    """As many accelerators as the mesh names, one where it leaves that open, as PyTorch takes one; all of a CPU's.

    Raises ValueError where there are fewer.
    """
    if mesh.data == -1 and devices[0].platform == "cpu":
        return devices
    asked = max(mesh.data, 1) * mesh.fsdp * mesh.seq
    if asked > len(devices):
        raise ValueError(f"mesh: it asks for {asked} devices, and there are {len(devices)}")
    return devices[:asked]


def device() -> str:
    """Those that hold something."""
    used = {device for array in jax.live_arrays() for device in array.devices()}
    return f"{len(used)} x {jax.devices()[0].device_kind}"
