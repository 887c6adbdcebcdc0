"""Runs and weights in the first formats are converted to the other framework with moments and counters."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from aef_jax.data.loading.training_data import open_data
from aef_jax.run.folder import RunFolder
from aef_jax.training.loop import train
from aef_torch.inference.load_weights import load_weights
from parity.cli import main
from tests.legacy.fixture import EXPECTED, FINAL, FIXTURE, SAVED, STEPS, TOLERANCE, TORCH, config_of


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
@pytest.mark.usefixtures("quick_compiles")
def test_a_run_from_old_weights_trains_on_to_the_same_end(tmp_path):
    run = RunFolder(convert(TORCH, tmp_path / "run"))
    config = config_of(run)
    assert train(config, run, open_data(config, run.read_normalization())) == STEPS
    losses = {r["step"]: r["loss"] for r in EXPECTED["metrics"] if r["kind"] == "train" and r["step"] > SAVED}
    records = map(json.loads, run.metrics_path.read_text().splitlines())
    resumed = {record["step"]: record["loss"] for record in records if record["kind"] == "train"}
    assert resumed.keys() == losses.keys()
    np.testing.assert_allclose([resumed[s] for s in losses], list(losses.values()), rtol=1e-4)
    tensors = load_file(convert(run.path, tmp_path / "final.safetensors"))
    for name, array in load_file(FINAL).items():
        np.testing.assert_allclose(tensors[name], array, **TOLERANCE, err_msg=name)
