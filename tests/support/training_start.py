"""The start of a training run with all terms of the objective, small enough to step in both frameworks."""

from dataclasses import replace

from aef_torch.training.snapshot import Snapshot
from configs.batch import Batch
from configs.config import Config
from configs.fake_batch import random_batch
from configs.sources import NLCD, SENTINEL1, SENTINEL2, TEXT
from parity.aef.check.training_setup import SIDE, TRAINING
from parity.capture.tensors import to_tensor
from tests.support.contracts.both_objectives import weights
from tests.support.data.sample_batch import SHRUNK

SMALL = replace(
    SHRUNK,
    model=replace(SHRUNK.model, num_blocks=1),
    sources=(SENTINEL2, SENTINEL1, NLCD, TEXT),
    training=TRAINING,
)

ALONE = replace(SMALL, sources=(replace(SENTINEL2, shift_invariant_m=0),))
"""Compiles in seconds."""


def doubled(config: Config) -> Config:
    """Return the config, computed in float64."""
    return replace(config, model=replace(config.model, compute_dtype="float64"))


def initial_snapshot(config: Config = SMALL) -> Snapshot:
    """Return the state before the first step, in float32; it does not depend on the compute dtype."""
    params = weights(replace(config, model=replace(SMALL.model, num_blocks=config.model.num_blocks), training=TRAINING))
    return Snapshot.beginning({name: to_tensor(array).float() for name, array in params.items()})


def batches(config: Config = SMALL, number: int = 4) -> list[Batch]:
    return [random_batch(config, SIDE, seed, config.training.batch)[0] for seed in range(number)]
