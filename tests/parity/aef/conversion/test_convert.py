"""`aef-parity convert` loses nothing, and writes nothing if anything is wrong."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch_file

import aef_torch.model.alphaearth
from aef_jax.run.checkpoint import restore_params, save_params
from configs.presets import TINY
from configs.serialization.config_json import to_json
from configs.serialization.weights_metadata import CONFIG, NORMALIZATION, STEP
from parity.aef.model import abstract_jax
from parity.cli import main
from parity.mapping.weights import state_specs, to_jax, to_torch
from tests.support.converting import NORMALIZATION_TEXT, SMALLEST, assert_same_tensors, mistake, random_tensors, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return random_tensors()


@pytest.fixture
def weights(tensors, tmp_path) -> Path:
    return write(tmp_path / "in.safetensors", tensors)


@pytest.fixture(scope="module")
def shared_run(tensors, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    run.mkdir()
    (run / "config.json").write_text(to_json(SMALLEST))
    (run / "normalization.json").write_text(NORMALIZATION_TEXT)
    for step, scale in ((7, 2), (20, 1)):
        scaled = {name: scale * array for name, array in tensors.items()}
        save_params(run / "checkpoints", to_jax(abstract_jax(SMALLEST), scaled), step)
    return run


@pytest.fixture
def run(shared_run, tmp_path) -> Path:
    return Path(shutil.copytree(shared_run, tmp_path / "run"))


def test_a_run_becomes_a_file_that_pytorch_loads(run, tensors, tmp_path, capsys):
    target = tmp_path / "out.safetensors"
    assert main(["convert", str(run), str(target)]) == 0
    assert "of step 20" in capsys.readouterr().out
    assert_same_tensors(load_file(target), tensors)
    aef_torch.model.alphaearth.AlphaEarth(SMALLEST).load_state_dict(load_torch_file(target))
    header = target.read_bytes()[8 : 8 + struct.unpack("<Q", target.read_bytes()[:8])[0]]
    metadata = json.loads(header)["__metadata__"]
    digests = json.loads(metadata.pop("sha256"))
    assert digests == {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in tensors.items()}
    assert metadata == {
        "format": "pt",
        CONFIG: to_json(SMALLEST),
        NORMALIZATION: NORMALIZATION_TEXT,
        STEP: "20",
    }


def test_a_file_becomes_a_run_and_the_same_file_again(weights, tensors, tmp_path):
    run, again = tmp_path / "run", tmp_path / "again.safetensors"
    assert main(["convert", str(weights), str(run)]) == 0
    assert (run / "config.json").read_text() == to_json(SMALLEST)
    assert (run / "normalization.json").read_text() == NORMALIZATION_TEXT
    assert_same_tensors(to_torch(abstract_jax(SMALLEST), restore_params(run / "checkpoints", SMALLEST)), tensors)
    assert main(["convert", str(run), str(again)]) == 0
    assert_same_tensors(load_file(again), tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.safetensors", "in.safetensors", "run"]


def test_any_checkpoint_of_a_run_can_be_asked_for(run, tensors, tmp_path, capsys):
    assert main(["convert", str(run / "checkpoints/7"), str(tmp_path / "out.safetensors")]) == 0
    converted = load_file(tmp_path / "out.safetensors")
    assert_same_tensors(converted, {name: 2 * array for name, array in tensors.items()})
    message = mistake(capsys, run / "checkpoints/default", tmp_path / "other.safetensors")
    assert message.endswith("does not exist")
    (run / "checkpoints/extra").mkdir()
    assert "expected one of the steps [7, 20]" in mistake(capsys, run / "checkpoints/extra", tmp_path / "o.safetensors")


def test_what_is_there_is_not_overwritten_unasked(run, weights, tensors, tmp_path, capsys):
    assert mistake(capsys, run, weights).endswith("exists already: give another name, or --overwrite")
    assert mistake(capsys, weights, run).endswith("exists already: give another name, or --overwrite")
    assert main(["convert", "--overwrite", str(run / "checkpoints/7"), str(weights)]) == 0
    assert main(["convert", "--overwrite", str(weights), str(run)]) == 0
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["7"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors", "run"]


@pytest.mark.parametrize("target", ["out.safetensors", "out"])
def test_a_write_that_breaks_leaves_what_was_there(target, run, weights, monkeypatch, capsys):
    def broken(self, name, array, digest):
        raise OSError("no space left")

    monkeypatch.setattr("parity.files.weights_writer.WeightsWriter.write", broken)
    assert mistake(capsys, run, weights.with_name(target)) == "no space left"
    assert mistake(capsys, run, weights, "--overwrite") == "no space left"


def test_a_folder_that_holds_more_is_never_overwritten(run, weights, tmp_path, capsys):
    (run / "metrics.jsonl").write_text("")
    assert "holds other files (metrics.jsonl)" in mistake(capsys, weights, run, "--overwrite")
    assert "(metrics.jsonl)" in mistake(capsys, weights, run, "--overwrite", "--dry-run")
    (tmp_path / "file").write_text("")
    assert "(file)" in mistake(capsys, weights, tmp_path / "file", "--overwrite")


def test_all_misfits_are_told_at_once(tensors, tmp_path, capsys):
    misfit = dict(tensors)
    del misfit["summary.key.weight"], misfit["encoder.blocks.1.time.condition.bias"]
    misfit["summary.key.bias"] = np.zeros(4, np.float32)
    misfit["decoders.nlcd.out.weight"] = misfit["decoders.nlcd.out.weight"].T
    misfit["text_head.out.bias"] = misfit["text_head.out.bias"].astype(np.float16)
    message = mistake(capsys, write(tmp_path / "in.safetensors", misfit), tmp_path / "run").splitlines()
    assert message == [
        "5 tensors do not fit the model:",
        "  missing: encoder.blocks.1.time.condition.bias, expected float32 (8,)",
        "  missing: summary.key.weight, expected float32 (4, 4)",
        "  unexpected: summary.key.bias, found float32 (4,)",
        "  wrong shape: decoders.nlcd.out.weight, expected float32 (16, 512), found float32 (512, 16)",
        "  wrong dtype: text_head.out.bias, expected float32 (64,), found float16 (64,)",
    ]


def test_checkpoint_of_other_model_or_dtype_is_refused_not_cast(run, tensors, tmp_path, capsys):
    halves = jax.tree.map(lambda array: array.astype(np.float16), to_jax(abstract_jax(SMALLEST), tensors))
    save_params(run / "checkpoints", halves, 30)
    message = mistake(capsys, run, tmp_path / "out.safetensors").splitlines()
    assert message[0] == f"{len(state_specs(halves))} tensors do not fit the model:"
    assert "  wrong dtype: summary.key.kernel, expected float32 (4, 4), found float16 (4, 4)" in message
    (run / "config.json").write_text(to_json(TINY))
    assert "wrong shape: encoder.blocks" in mistake(capsys, run, tmp_path / "out.safetensors")


def sized(**sizes) -> str:
    tree = json.loads(to_json(SMALLEST))
    tree["model"] |= sizes
    return json.dumps(tree)


def named(name: str) -> str:
    tree = json.loads(to_json(SMALLEST))
    tree["sources"][0]["name"] = name
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({CONFIG: ""}, "carries no config under 'aef_config'"),
        ({CONFIG: "{"}, "aef_config in its metadata: config: its JSON cannot be read"),
        ({CONFIG: "[" * 100_000}, "aef_config in its metadata"),
        ({CONFIG: sized(d_tme=3)}, "there is no field 'd_tme'; did you mean d_time?"),
        ({CONFIG: sized(num_blocks=10**9)}, "its config has 1000000000 blocks, and it has"),
        ({CONFIG: sized(text_width=10**15)}, "wrong shape: text_head.first.weight"),
        ({CONFIG: sized(text_width=10**30)}, "config.model.text_width is 1e+30, expected a value of type int"),
        ({CONFIG: named("__class__")}, "source: name is '__class__', expected an identifier"),
        ({NORMALIZATION: "[1]"}, "what the weights carry as their normalization is not one of a run"),
        ({NORMALIZATION: "[" * 100_000}, "what the weights carry as their normalization is not one of a run"),
        ({STEP: "-1"}, "aef_step in its metadata is '-1', expected a number of steps"),
    ],
)
def test_metadata_that_cannot_be_is_told(metadata, message, tensors, tmp_path, capsys):
    error = mistake(capsys, write(tmp_path / "in.safetensors", tensors, **metadata), tmp_path / "run")
    assert message in error


@pytest.mark.parametrize("blocks", [50_000, 10**9])
def test_a_run_of_absurdly_many_blocks_is_told(blocks, run, tmp_path, capsys):
    (run / "config.json").write_text(sized(num_blocks=blocks))
    message = mistake(capsys, run, tmp_path / "out.safetensors")
    assert f"expected float32 ({blocks}, 8, 32), found float32 (2, 8, 32)" in message


def test_a_folder_is_not_overwritten_with_a_file(run, tmp_path, capsys):
    (tmp_path / "out.safetensors").mkdir()
    message = mistake(capsys, run, tmp_path / "out.safetensors", "--overwrite")
    assert message.endswith("out.safetensors is a folder, expected the name of a file")


def test_a_damaged_checkpoint_of_an_older_version_is_told(run, tmp_path, capsys):
    (run / "checkpoints/20/checksums.json").unlink()
    for path in (run / "checkpoints/20/params").rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "checkpoints/20 cannot be read" in mistake(capsys, run, tmp_path / "out.safetensors")


def test_arguments_that_make_no_sense_are_told(run, weights, tmp_path, capsys):
    assert mistake(capsys, tmp_path / "none", tmp_path / "out").endswith("none does not exist")
    assert "should be the name of a folder, for a run of JAX" in mistake(capsys, weights, tmp_path / "out.safetensors")
    (tmp_path / "empty").mkdir()
    message = mistake(capsys, tmp_path / "empty", tmp_path / "out.safetensors")
    assert message.endswith("is not the folder of a run (config.json), nor of weights (model.safetensors)")
    (tmp_path / "empty/config.json").write_text(to_json(SMALLEST))
    assert "holds no checkpoint" in mistake(capsys, tmp_path / "empty", tmp_path / "out.safetensors")


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"]])
def test_help_shows_an_example(arguments):
    result = subprocess.run(
        [sys.executable, "-m", "parity.cli", *arguments], capture_output=True, text=True, check=True
    )
    assert "aef-parity convert runs/tiny tiny.safetensors" in result.stdout


SAVE_AGAIN_ON_TWO_DEVICES = """
import sys
from pathlib import Path
import jax
from aef_jax.run.checkpoint import restore_params, save_params
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh, replicated
from configs.mesh import MeshConfig

run = RunFolder(Path(sys.argv[1]))
assert jax.device_count() == 2
params = restore_params(run.checkpoints, run.read_config(), replicated(make_mesh(MeshConfig())))
save_params(run.checkpoints, params, step=30)
"""


def test_a_run_of_more_devices_than_there_are_here_is_converted(run, tensors, tmp_path):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2"}
    subprocess.run([sys.executable, "-c", SAVE_AGAIN_ON_TWO_DEVICES, run], check=True, env=environment)
    assert jax.device_count() == 1
    assert main(["convert", str(run), str(tmp_path / "out.safetensors")]) == 0
    converted = load_file(tmp_path / "out.safetensors")
    assert converted.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(converted[name], array)
