"""The training that is compared: its course, its batches and its start."""

from dataclasses import replace

import torch

from aef_torch.training.snapshot import Snapshot
from configs.batch import Batch
from configs.config import Config
from configs.fake_batch import random_batch
from configs.training import TrainingConfig
from parity.aef.check.check_input import CheckInput
from parity.capture.tensors import to_tensor

SIDE = 16
FEW = 4
"""Different batches, again and again: what is compared is steps, not what they lead to."""
TRAINING = TrainingConfig(steps=1_000, warmup_steps=20, learning_rate=1e-4, clip_norm=0.3, weight_decay=0.1, batch=2)
"""At the rate of the full-size models. Some gradients are clipped and others not."""


def training_setup(check_input: CheckInput, dtype: str, batch: int = TRAINING.batch) -> Config:
    """Its config with the course, and so computed as the comparison of the sub-modules is."""
    model = replace(check_input.config.model, compute_dtype=dtype, block_loop="unroll", remat="none")
    return replace(check_input.config, model=model, training=replace(TRAINING, batch=batch))


def make_batches(config: Config, steps: int) -> list[Batch]:
    """One for each step."""
    few = [random_batch(config, SIDE, seed, config.training.batch)[0] for seed in range(FEW)]
    return [few[step % FEW] for step in range(steps)]


def initial_snapshot(check_input: CheckInput) -> Snapshot:
    """From PyTorch's weights; the same in whatever dtype it is computed."""
    return Snapshot.beginning({name: to_tensor(array).float() for name, array in check_input.torch.items()})


def one_ulp_up(start: Snapshot) -> Snapshot:
    """The same with every parameter at the next float32."""
    upwards = torch.tensor(torch.inf)
    return replace(start, params={name: torch.nextafter(p, upwards) for name, p in start.params.items()})
