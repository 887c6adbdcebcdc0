"""A training run that is small enough to be taken step by step in both frameworks, with all that the objective has."""

from dataclasses import replace

from both_objectives import weights
from sample_batch import SHRUNK

from aef_torch.snapshot import Snapshot
from configs.batch import Batch
from configs.random_batch import random_batch
from configs.run import Config
from configs.sources import NLCD, SENTINEL1, SENTINEL2, TEXT
from parity.aef.check.course import COURSE, SIDE
from parity.tensors import to_tensor

SMALL = replace(
    SHRUNK,
    model=replace(SHRUNK.model, blocks=1),
    sources=(SENTINEL2, SENTINEL1, NLCD, TEXT),
    training=COURSE,
)

ALONE = replace(SMALL, sources=(replace(SENTINEL2, shift_invariant_m=0),))
"""What compiles in seconds."""


def doubled(config: Config) -> Config:
    """The same, computed in float64."""
    return replace(config, model=replace(config.model, compute_dtype="float64"))


def start_of(config: Config = SMALL) -> Snapshot:
    """In float32; the same in whatever dtype it is computed, and however."""
    params = weights(replace(config, model=replace(SMALL.model, blocks=config.model.blocks), training=COURSE))
    return Snapshot.beginning({name: to_tensor(array).float() for name, array in params.items()})


def batches(config: Config = SMALL, number: int = 4) -> list[Batch]:
    return [random_batch(config, SIDE, seed, config.training.batch)[0] for seed in range(number)]
