"""A run of the smallest model with all files that training writes, made without training."""

from functools import cache
from pathlib import Path

import jax
import numpy as np

from aef_jax.data.store.normalization import Normalization
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import TrainState, abstract_state
from configs.config import Config
from tests.support.converting import SMALLEST

DATA = {"folder": "mine", "records": 4}
STEP = 20


def random_state(config: Config, scale: float = 1) -> TrainState:
    """Return a state after `STEP` steps, of which one was skipped; no two numbers are the same."""
    rng = np.random.default_rng(0)

    def random(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        number = {"float32": scale * rng.normal(size=leaf.shape), "int32": STEP - 1, "bool": False}[leaf.dtype.name]
        return jax.device_put(np.asarray(number, leaf.dtype), leaf.sharding)

    state = jax.tree.map(random, abstract_state(config, make_mesh(config.mesh)))
    return state._replace(step=state.step + 1)


def write_training_run(folder: Path, config: Config = SMALLEST, scale: float = 1, score: float = 0.5) -> Path:
    """Write a run's folder with one checkpoint and its validation loss."""
    run = RunFolder(folder)
    bands = {source.name: np.ones(source.channels) for source in config.input_sources}
    normalization = Normalization(bands, bands)
    run.start(config, normalization)
    checkpointer = Checkpointer(run, config, normalization, DATA)
    checkpointer.save(random_state(config, scale), score=score)
    checkpointer.close()
    return folder


@cache
def _target(config: Config) -> TrainState:
    return abstract_state(config, make_mesh(config.mesh))


def restore(folder: Path, config: Config = SMALLEST) -> TrainState:
    """Restore the state as `aef train` does."""
    run = RunFolder(folder)
    checkpointer = Checkpointer(run, config, run.read_normalization(), DATA)
    try:
        return checkpointer.restore(_target(config))
    finally:
        checkpointer.close()
