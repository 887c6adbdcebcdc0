"""Runs and weights in the first formats are converted to the other framework with moments and counters."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import TrainState, abstract_state
from aef_torch.inference.load_weights import load_weights
from parity.cli import main
from tests.legacy.fixture import FINAL, FIXTURE, SAVED, TORCH, config_of, copied_run


def convert(source: Path, target: Path) -> Path:
    assert main(["convert", str(source), str(target)]) == 0
    return target


def assert_same_bits(folder: Path, expected: Path) -> None:
    for name in ("model.safetensors", "optimizer.safetensors"):
        tensors, old = load_file(folder / name), load_file(expected / name)
        assert tensors.keys() == old.keys()
        for tensor, array in old.items():
            assert tensors[tensor].tobytes() == array.tobytes(), tensor


@pytest.mark.slow
def test_the_old_run_becomes_the_tensors_that_the_old_code_wrote(tmp_path):
    assert_same_bits(convert(FIXTURE / "run", tmp_path / "torch"), TORCH)


@pytest.mark.slow
def test_the_old_weights_become_a_run_and_the_same_tensors_again(tmp_path):
    run = convert(TORCH, tmp_path / "run")
    assert json.loads((run / f"checkpoints/{SAVED}/metrics/metrics").read_text()).keys() == {"validation"}
    assert json.loads((run / "normalization.json").read_text()).keys() == {"sentinel2"}
    assert_same_bits(convert(run, tmp_path / "again"), TORCH)


def test_the_old_weights_are_ready_to_embed_with():
    assert load_weights(TORCH).config.model.architecture == 1


@pytest.mark.slow
def test_an_old_file_becomes_a_run_and_the_same_file(tmp_path):
    again = convert(convert(FINAL, tmp_path / "run"), tmp_path / "again.safetensors")
    tensors = load_file(again)
    for name, array in load_file(FINAL).items():
        assert tensors[name].tobytes() == array.tobytes(), name


@pytest.mark.slow
def test_a_run_from_old_weights_trains_on_from_the_same_state(tmp_path):
    """To the end that tests/legacy/test_old_run.py compares."""
    runs = RunFolder(convert(TORCH, tmp_path / "run")), copied_run(tmp_path / "old")
    state, expected = map(restored, runs)
    assert int(state.step) == SAVED
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, state, expected)))


def restored(run: RunFolder) -> TrainState:
    """Restore the state as `aef train` does."""
    config = config_of(run)
    run.require_same_run(config)
    data = open_data(config, run.read_normalization())
    checkpointer = Checkpointer(run, config, data.schema.normalization, data.data_fingerprint)
    state = checkpointer.restore(abstract_state(config, make_mesh(config.mesh)))
    checkpointer.close()
    return jax.device_get(state)
