"""Prepare the JAX implementation for timing: the compiled training step and the compiled embedder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax

from aef_jax.inference.embed import embed_fn
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.host_memory import keep_memory
from aef_jax.sharding.mesh import SEQ, batch_shardings, check_batch, make_mesh, sharding, with_mesh
from aef_jax.sharding.placement import fill_frames, put, to_devices
from aef_jax.training.step import init_state, make_train_step
from aef_jax.training.throughput import peak_bytes as peak_bytes  # part of the interface that Task.module describes
from configs.config import Config
from configs.fake_batch import random_batch, random_periods
from configs.mesh import MeshConfig


def prepare(config: Config, task: Any) -> Callable[[], None]:
    """Prepare the function to time.

    Args:
        config: of the model and its inputs.
        task: a `Task`.

    Returns:
        A function that runs once on the devices and waits for the result.

    Raises:
        ValueError: if there are fewer devices than the mesh names, or they do not divide the batch.
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
        embed = jax.jit(with_mesh(mesh, embed_fn(config)), compiler_options=compiler_options(mesh))

        def forward() -> None:
            jax.block_until_ready(embed(state.params, frames, periods))

        return forward
    step, on_devices = make_train_step(config, mesh), to_devices(batch, mesh)
    states = [state]

    def run() -> None:
        states[0], _ = jax.block_until_ready(step(states[0], on_devices))

    return run


def used_devices(mesh: MeshConfig, devices: Sequence[Any]) -> Sequence[Any]:
    """Choose the devices to run on.

    Args:
        mesh: of the config.
        devices: of this machine.

    Returns:
        As many devices as the mesh names. If it leaves the number open: one accelerator, as PyTorch uses one, or all
        CPU devices.

    Raises:
        ValueError: if there are fewer devices than the mesh names.
    """
    if mesh.data == -1 and devices[0].platform == "cpu":
        return devices
    needed = max(mesh.data, 1) * mesh.fsdp * mesh.seq
    if needed > len(devices):
        raise ValueError(f"mesh: it needs {needed} devices, but there are {len(devices)}")
    return devices[:needed]


def device() -> str:
    """Describe the devices that hold arrays.

    Returns:
        Such as "1 x NVIDIA H100 80GB HBM3".
    """
    used = {device for array in jax.live_arrays() for device in array.devices()}
    return f"{len(used)} x {jax.devices()[0].device_kind}"
