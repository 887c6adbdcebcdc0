"""Set up the training that is compared: its settings, batches and initial state."""

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
"""Different batches, used in turn: the steps are compared, not the trained model."""
TRAINING = TrainingConfig(steps=1_000, warmup_steps=20, learning_rate=1e-4, clip_norm=0.3, weight_decay=0.1, batch=2)
"""The learning rate is that of the full-size models. Some gradients are clipped and others are not."""


def training_setup(check_input: CheckInput, dtype: str, batch: int = TRAINING.batch) -> Config:
    """Return the config to train with: blocks unrolled, without remat, like the comparison of the sub-modules.

    Args:
        check_input: What is compared.
        dtype: The dtype to compute in.
        batch: Sequences per batch.

    Returns:
        The config.
    """
    model = replace(check_input.config.model, compute_dtype=dtype, block_loop="unroll", remat="none")
    return replace(check_input.config, model=model, training=replace(TRAINING, batch=batch))


def make_batches(config: Config, steps: int) -> list[Batch]:
    """Make a batch for each step.

    Args:
        config: The config.
        steps: The number of steps.

    Returns:
        The batches.
    """
    few = [random_batch(config, SIDE, seed, config.training.batch)[0] for seed in range(FEW)]
    return [few[step % FEW] for step in range(steps)]


def initial_snapshot(check_input: CheckInput) -> Snapshot:
    """Make the initial state from PyTorch's weights, the same for every dtype.

    Args:
        check_input: What is compared.

    Returns:
        The state, float32.
    """
    return Snapshot.beginning({name: to_tensor(array).float() for name, array in check_input.torch.items()})


def one_ulp_up(start: Snapshot) -> Snapshot:
    """Move every parameter to the next float32.

    Args:
        start: The state.

    Returns:
        The changed state.
    """
    upwards = torch.tensor(torch.inf)
    return replace(start, params={name: torch.nextafter(p, upwards) for name, p in start.params.items()})
