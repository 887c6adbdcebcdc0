"""PyTorch's side of the benchmark: the training step and embedding fields, eager or with `torch.compile`.

`python -m aef_jax.benchmark` times it in a process of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from aef_torch.model.alphaearth import AlphaEarth
from aef_torch.training.objective import objective
from aef_torch.training.step import init_state, train_step
from configs.config import Config
from configs.fake_batch import random_batch, random_periods

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(config: Config, task: Any) -> Callable[[], None]:
    """Make the function to time. It runs once and waits for the device.

    Args:
        config: the config of the run.
        task: has `kind` (`forward` or `step`) and `mode` (`eager` or `compiled`).

    Returns:
        The function.
    """
    torch.manual_seed(0)
    if DEVICE == "cuda":
        # JAX's default precision lets a GPU's matrix units round float32 to TF32: allow it in PyTorch too
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    model, sequences = AlphaEarth(config).to(DEVICE), config.training.batch
    batch, noise = random_batch(config, config.data.tile_side, sequences=sequences, full=True)
    batch, noise = on_device(batch), on_device(noise)
    if task.kind == "forward":
        periods = on_device(random_periods(1, sequences=sequences))
        embed = torch.compile(model) if task.mode == "compiled" else model
        return partial(_forward, embed, batch.frames, periods)
    state = init_state(model, config)
    compute = torch.compile(objective) if task.mode == "compiled" else objective
    return partial(_step, state, batch, noise, config, compute)


def on_device(tree: Any) -> Any:
    """Move a tree of NumPy arrays to the device.

    Args:
        tree: arrays in dicts and named tuples; None stays None.

    Returns:
        The same tree of tensors.
    """
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree).to(DEVICE)
    if isinstance(tree, dict):
        return {name: on_device(branch) for name, branch in tree.items()}
    return None if tree is None else type(tree)(*map(on_device, tree))


def peak_bytes() -> int:
    """Read the peak memory on the device.

    Returns:
        Bytes; 0 on a CPU, where it is unknown.
    """
    return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else 0


def device() -> str:
    """Name the device.

    Returns:
        The GPU's name, or `cpu` and the number of threads.
    """
    return torch.cuda.get_device_name() if DEVICE == "cuda" else f"cpu, {torch.get_num_threads()} threads"


def _forward(embed: Callable, frames: Any, periods: torch.Tensor) -> None:
    with torch.inference_mode():
        embed(frames, periods).sum().item()


def _step(state: Any, batch: Any, noise: Any, config: Config, compute: Callable) -> None:
    train_step(state, batch, noise, config, compute)["loss"].item()
