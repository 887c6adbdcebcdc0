"""What is timed of PyTorch: its training step and its embedding fields, eager or under `torch.compile`.

Timed by `python -m aef_jax.benchmark`, in a process of its own.
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
    """What runs once on the device, and waits for it. `task` has `kind` and `mode`."""
    torch.manual_seed(0)
    if DEVICE == "cuda":
        # JAX trains at its default precision, at which a GPU's matrix units round float32 to TF32: so may PyTorch's
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
    """A tree of NumPy's arrays as PyTorch's tensors."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree).to(DEVICE)
    if isinstance(tree, dict):
        return {name: on_device(branch) for name, branch in tree.items()}
    return None if tree is None else type(tree)(*map(on_device, tree))


def peak_bytes() -> int:
    """The most memory in use on the device; 0 where that is not known, as on a CPU."""
    return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else 0


def device() -> str:
    return torch.cuda.get_device_name() if DEVICE == "cuda" else f"cpu, {torch.get_num_threads()} threads"


def _forward(embed: Callable, frames: Any, periods: torch.Tensor) -> None:
    with torch.inference_mode():
        embed(frames, periods).sum().item()


def _step(state: Any, batch: Any, noise: Any, config: Config, compute: Callable) -> None:
    train_step(state, batch, noise, config, compute)["loss"].item()
