"""Weights that other programs saved: a plain state_dict, a folder of Hugging Face's, a wrapped model (row 15, 22)."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aef_jax.run.folder import RunFolder
from configs.serialization.config_json import to_json
from parity.aef.conversion.checkpoints import open_checkpoint
from parity.cli import main
from tests.support.converting import NORMALIZATION_TEXT, SMALLEST, mistake, random_tensors, write


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return random_tensors()


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(to_json(SMALLEST))
    return path


def _is_converted(run: Path, tensors: dict[str, np.ndarray]) -> bool:
    checkpoint = open_checkpoint(run)
    assert checkpoint.config == SMALLEST
    assert checkpoint.params.keys() == tensors.keys()
    return all(np.array_equal(checkpoint.tensor(name), array) for name, array in tensors.items())


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod."])
def test_a_plain_state_dict_is_converted(tensors, config, tmp_path, prefix):
    save_file({f"{prefix}{name}": array for name, array in tensors.items()}, tmp_path / "in.safetensors")
    run = tmp_path / "run"
    assert main(["convert", str(tmp_path / "in.safetensors"), str(run), "--config", str(config)]) == 0
    assert _is_converted(run, tensors)
    assert not RunFolder(run).normalization_path.exists()


@pytest.mark.slow
def test_a_folder_with_its_config_is_converted(tensors, tmp_path):
    folder, run = tmp_path / "hub", tmp_path / "run"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(to_json(SMALLEST))
    (folder / "normalization.json").write_text(NORMALIZATION_TEXT)
    assert main(["convert", str(folder), str(run)]) == 0
    assert _is_converted(run, tensors)
    assert json.loads(RunFolder(run).normalization_path.read_text()) == json.loads(NORMALIZATION_TEXT)


def test_weights_without_a_config_are_refused(tensors, tmp_path, capsys):
    save_file(tensors, tmp_path / "in.safetensors")
    message = mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run")
    assert message.endswith("which says what model it is of: give --config PRESET, a config file or a run")


def test_a_folder_of_another_library_is_refused(tensors, tmp_path, capsys):
    folder = tmp_path / "hub"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text('{"architectures": ["ViTModel"]}')
    message = mistake(capsys, folder, tmp_path / "run")
    assert message.startswith(f"{folder / 'config.json'}: ")
    assert "\n" not in message


def test_a_second_config_is_refused(tensors, config, tmp_path, capsys):
    weights = write(tmp_path / "in.safetensors", tensors)
    message = mistake(capsys, weights, tmp_path / "run", "--config", config)
    assert message == f"{weights} carries a config of its own: leave --config out"


def test_the_config_of_another_model_is_refused(tensors, tmp_path, capsys):
    save_file(tensors, tmp_path / "in.safetensors")
    message = mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run", "--config", "debug")
    assert "not fit the model:" in message


def test_a_file_without_tensors_is_refused(config, tmp_path, capsys):
    """All of no names have any prefix."""
    save_file({}, tmp_path / "in.safetensors")
    message = mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run", "--config", config)
    assert "0 tensors" in message


def test_a_config_beside_the_weights_is_no_second_one(tensors, config, tmp_path, capsys):
    folder = tmp_path / "hub"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(to_json(SMALLEST))
    message = mistake(capsys, folder, tmp_path / "run", "--config", config)
    assert message == f"{folder} has a config of its own, config.json: leave --config out"
