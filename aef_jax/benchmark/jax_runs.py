"""What is timed of JAX: the step that trains, and the embedder, compiled, on all devices."""

from collections.abc import Callable
from typing import Any

import jax

from aef_jax.embed import make_embedder
from aef_jax.placement import put, to_devices
from aef_jax.sharding import batch_shardings, make_mesh, sharding, under, use_all_cores
from aef_jax.step import init_state, make_train_step
from configs.random_batch import random_batch, random_periods
from configs.run import Config


def prepare(config: Config, task: Any) -> Callable[[], None]:
    """What runs once on the devices, and waits for it. `task` is a `Task`."""
    sequences = config.training.batch
    use_all_cores(sequences)
    mesh = make_mesh(config.mesh)
    batch, _ = random_batch(config, config.data.tile_side, sequences=sequences, full=True)
    state = init_state(config, mesh)
    if task.kind == "forward":
        frames = put(batch.frames, batch_shardings(batch, mesh).frames)
        periods = put(random_periods(1, sequences=sequences), sharding(mesh, "sequence"))
        embed = under(mesh, make_embedder(config))

        def forward() -> None:
            jax.block_until_ready(embed(state.params, frames, periods))

        return forward
    step, on_devices = make_train_step(config, mesh), to_devices(batch, mesh)
    kept = [state]

    def run() -> None:
        kept[0], _ = jax.block_until_ready(step(kept[0], on_devices))

    return run


def peak_bytes() -> int:
    """The most memory in use on any device; 0 where that is not known, as on a CPU."""
    return max((device.memory_stats() or {}).get("peak_bytes_in_use", 0) for device in jax.local_devices())


def device() -> str:
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"
