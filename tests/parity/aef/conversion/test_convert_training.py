"""`aef-parity convert` keeps what training continues with: moments, counters, step and position in the data."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import aef_torch.model.alphaearth
from configs.serialization.weights_metadata import TRAINING
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint, write_torch
from parity.cli import main
from parity.files.weights_folder import Weights
from tests.support.converting import SMALLEST, mistake, write_weights
from tests.support.paths import REPOSITORY
from tests.support.training_run import DATA, STEP, random_state, restore, write_training_run


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory) -> Path:
    return write_training_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(shared_run, tmp_path) -> Path:
    return Path(shutil.copytree(shared_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def shared_folder(shared_run) -> Path:
    convert(shared_run, shared_run.with_name("torch"))
    return shared_run.with_name("torch")


@pytest.fixture
def folder(shared_folder, tmp_path) -> Path:
    """The same run, on the side of PyTorch."""
    return Path(shutil.copytree(shared_folder, tmp_path / "torch"))


def convert(*arguments) -> None:
    assert main(["convert", *map(str, arguments)]) == 0


def every_tensor(folder: Path, name: str) -> dict[str, np.ndarray]:
    weights = Weights.open(folder, name)  # mapped: a copy outlives the file
    return {tensor: weights.tensor(tensor).copy() for tensor in weights.specs}


def assert_same_state(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for leaf, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert leaf.dtype == other.dtype
        assert np.asarray(leaf).tobytes() == np.asarray(other).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("shard_size", ["2GB", "1MB"])
def test_a_run_goes_there_and_back_without_losing_a_bit(run, shard_size, tmp_path, capsys):
    convert(run, tmp_path / "torch", "--shard-size", shard_size)
    assert (tmp_path / "torch/model.safetensors.index.json").exists() == (shard_size == "1MB")
    assert "of step 20, with Adam's moments and counters" in capsys.readouterr().out
    convert(tmp_path / "torch", tmp_path / "again")
    assert_same_state(restore(tmp_path / "again"), random_state(SMALLEST))
    assert (tmp_path / "again/config.json").read_bytes() == (run / "config.json").read_bytes()
    for item in ("data/metadata", "run/metadata", "metrics/metrics"):
        before, after = (json.loads((r / f"checkpoints/{STEP}" / item).read_text()) for r in (run, tmp_path / "again"))
        assert after == before
    assert main(["diff", str(run), str(tmp_path / "again")]) == 0
    convert(tmp_path / "again", tmp_path / "torch again", "--shard-size", shard_size)
    for path in (tmp_path / "torch").iterdir():
        assert path.read_bytes() == (tmp_path / "torch again" / path.name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "run", "torch", "torch again"]


@pytest.mark.slow
def test_a_file_has_no_moments_and_says_so(run, tmp_path, capsys):
    convert(run, tmp_path / "out.safetensors")
    assert "Adam's moments were left behind: give a folder instead" in capsys.readouterr().out
    assert TRAINING not in TorchCheckpoint(tmp_path / "out.safetensors").saved.as_metadata()
    convert(tmp_path / "out.safetensors", tmp_path / "params")
    with pytest.raises(ValueError, match="holds parameters alone"):
        restore(tmp_path / "params")


@pytest.mark.slow
def test_moments_are_never_written_to_a_file(folder, tmp_path):
    checkpoint, target = TorchCheckpoint(folder), tmp_path / "out.safetensors"
    with pytest.raises(ValueError, match=r"out.safetensors is a file, which holds parameters alone"):
        write_torch(target, checkpoint.saved, checkpoint.params, checkpoint.moments, checkpoint.tensor)
    assert not target.exists()


@pytest.mark.slow
def test_moments_are_in_the_layout_of_their_parameters(folder):
    checkpoint = TorchCheckpoint(folder)
    adam = random_state(SMALLEST).optimizer.inner_state[1][0]
    for moment, tree in (("exp_avg", adam.mu), ("exp_avg_sq", adam.nu)):
        kernels = tree["encoder"]["blocks"]["space"]["mlp"]["hidden"]["kernel"][...]
        name = f"{moment}.encoder.blocks.1.space.mlp.hidden.weight"
        np.testing.assert_array_equal(checkpoint.tensor(name), np.asarray(kernels)[1].T)
    assert checkpoint.saved.training is not None
    assert checkpoint.saved.training.counters["count"] == STEP - 1
    assert checkpoint.saved.training.data == DATA


@pytest.mark.slow
def test_parameters_are_cast_and_moments_are_not(run, tmp_path, capsys):
    convert(run, tmp_path / "torch", "--dtype", "bfloat16")
    message = re.search(r"cast to bfloat16: the largest relative change is (\S+), in (\S+)", capsys.readouterr().out)
    assert message
    assert 2**-9 < float(message[1]) <= 2**-8
    checkpoint = TorchCheckpoint(tmp_path / "torch")
    assert {str(spec.dtype) for spec in checkpoint.params.values()} == {"bfloat16"}
    assert {str(spec.dtype) for spec in checkpoint.moments.values()} == {"float32"}
    model = aef_torch.model.alphaearth.AlphaEarth(SMALLEST).to(torch.bfloat16)
    model.load_state_dict(load_file(tmp_path / "torch/model.safetensors"))
    assert main(["diff", str(run), str(tmp_path / "torch")]) == 1
    assert f"dtype: {message[2]}, float32 and bfloat16, relative L2" in capsys.readouterr().out
    assert mistake(capsys, tmp_path / "torch", tmp_path / "on").endswith("give --dtype float32")
    convert(tmp_path / "torch", tmp_path / "on", "--dtype", "float32")
    assert "without any change" in capsys.readouterr().out
    assert_same_state(restore(tmp_path / "on").optimizer, random_state(SMALLEST).optimizer)


@pytest.mark.slow
def test_a_number_that_does_not_fit_the_dtype_is_told(tmp_path, capsys):
    run = write_training_run(tmp_path / "run", scale=1e5)
    assert "does not fit float16: its largest number is" in mistake(
        capsys, run, tmp_path / "out.safetensors", "--dtype", "float16"
    )


@pytest.mark.slow
def test_a_dry_run_prints_the_map_and_writes_nothing(run, folder, tmp_path, capsys):
    assert main(["convert", "--dry-run", str(run), str(tmp_path / "there"), "--dtype", "bfloat16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "encoder.blocks.space.mlp.hidden.kernel [1] <-> encoder.blocks.1.space.mlp.hidden.weight"
        "  float32 (32, 8) -> bfloat16"
    ) in lines
    assert len(lines) == len(TorchCheckpoint(folder).params) + 2
    assert main(["convert", "--dry-run", str(folder), str(tmp_path / "on")]) == 0
    assert "summary.key.kernel <-> summary.key.weight  float32 (4, 4)" in capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "torch"]


@pytest.mark.slow
def test_a_flipped_bit_is_told_on_either_side(run, folder, tmp_path, capsys):
    convert(folder, jax_side := tmp_path / "on")
    flip_a_bit(folder / "optimizer.safetensors")
    message = mistake(capsys, folder, tmp_path / "again")
    assert re.fullmatch(r"\S+optimizer.safetensors is damaged: tensor exp_avg_sq\S+ has the checksum [^\n]+", message)
    without_checksums(jax_side)
    file = max((jax_side / f"checkpoints/{STEP}/params").rglob("*"), key=lambda path: path.stat().st_size)
    flip_a_bit(file, at=file.stat().st_size // 2)
    message = mistake(capsys, jax_side, tmp_path / "again")
    assert re.fullmatch(r"\S+checkpoints/20 is damaged: tensor \S+ has the checksum [^\n]+", message)
    assert main(["diff", str(jax_side), str(run)]) == 2


def without_checksums(run: Path) -> None:
    """Make the checkpoint one of an older version, whose files are read without being verified."""
    (run / f"checkpoints/{STEP}/checksums.json").unlink()


def flip_a_bit(file: Path, at: int = -1) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.slow
def test_moments_that_are_not_finite_are_told(folder, tmp_path, capsys):
    tensors = every_tensor(folder, "optimizer")
    tensors["exp_avg.summary.key.weight"][0, 0] = np.nan
    write_weights(folder / "optimizer.safetensors", tensors, TorchCheckpoint(folder).saved.as_metadata())
    assert "tensor exp_avg.summary.key.weight holds 1 value that is not" in mistake(capsys, folder, tmp_path / "on")
    convert(folder, tmp_path / "on", "--allow-nonfinite")
    assert "exp_avg.summary.key.weight holds 1 value" in mistake(capsys, tmp_path / "on", tmp_path / "again")


def without(name: str, training: dict) -> dict:
    return {key: value for key, value in training.items() if key != name}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda training: None, "does not say how training goes on with them"),
        (
            lambda training: without("data", training),
            "is not the JSON of an object of counters, position, data, scores",
        ),
        (lambda training: training | {"position": 3}, "position is 3, expected an object"),
        (lambda training: training | {"counters": {}}, "the optimizer's counters are not exactly ['count'"),
        (
            lambda training: training | {"counters": training["counters"] | {"count": 2**40}},
            "the optimizer's count is 1099511627776, expected a number of type int32",
        ),
    ],
)
def test_what_training_could_not_go_on_with_is_told(change, message, folder, tmp_path, capsys):
    metadata = TorchCheckpoint(folder).saved.as_metadata()
    changed = change(json.loads(metadata.pop(TRAINING)))
    metadata |= {} if changed is None else {TRAINING: json.dumps(changed)}
    for name in ("model", "optimizer"):
        write_weights(folder / f"{name}.safetensors", every_tensor(folder, name), metadata)
    assert message in mistake(capsys, folder, tmp_path / "on")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("item", "text", "message"),
    [
        ("manifest/metadata", "[]", "is not the JSON of an object"),
        ("manifest/metadata", "null", "is not the JSON of an object"),
        ("manifest/metadata", "{}", "its manifest does not list exactly the tensors that it holds"),
        ("run/metadata", "[]", "is not the JSON of an object"),
        ("run/metadata", "{}", "does not say what was trained on: its data is None, expected an object"),
        ("run/metadata", '{"data": 3}', "does not say what was trained on: its data is 3, expected an object"),
        ("data/metadata", "3", "is not the JSON of an object"),
        ("metrics/metrics", "[1]", "is not the JSON of an object"),
    ],
)
def test_what_a_checkpoint_of_jax_cannot_say_is_told(item, text, message, run, tmp_path, capsys):
    without_checksums(run)
    file = run / f"checkpoints/{STEP}" / item
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    error = mistake(capsys, run, tmp_path / "torch")
    assert re.fullmatch(rf"\S+checkpoints/{STEP}(/{item})?:? {message}", error)


@pytest.mark.slow
def test_a_manifest_of_no_checksums_is_told(run, folder, tmp_path, capsys):
    checkpoint = TorchCheckpoint(folder)
    file = run / f"checkpoints/{STEP}/manifest/metadata"
    file.parent.mkdir()
    file.write_text(json.dumps(dict.fromkeys([*checkpoint.params, *checkpoint.moments], "\x1b]0;owned\x07")))
    message = mistake(capsys, run, tmp_path / "again")
    assert message.endswith("its manifest does not list exactly the tensors that it holds")


@pytest.mark.slow
def test_moments_of_other_parameters_are_told(folder, tmp_path, capsys):
    tensors = every_tensor(folder, "optimizer")
    tensors["exp_avg.more"] = tensors.pop("exp_avg.summary.key.weight")
    write_weights(folder / "optimizer.safetensors", tensors, TorchCheckpoint(folder).saved.as_metadata())
    assert mistake(capsys, folder, tmp_path / "on").splitlines() == [
        "2 tensors do not fit the model:",
        "  missing: exp_avg.summary.key.weight, expected float32 (4, 4)",
        "  unexpected: exp_avg.more, found float32 (4, 4)",
    ]


@pytest.mark.slow
def test_only_a_folder_of_weights_is_overwritten(run, folder, capsys):
    convert("--overwrite", run, folder, "--shard-size", "1MB")
    assert (folder / "model.safetensors.index.json").exists() or (folder / "model.safetensors").exists()
    (folder / "notes.txt").write_text("")
    assert "holds other files (notes.txt)" in mistake(capsys, run, folder, "--overwrite")
    assert "(notes.txt)" in mistake(capsys, run, folder, "--overwrite", "--dry-run")


SAVE_ON_TWO_DEVICES = """
import sys
from dataclasses import replace
from pathlib import Path
import jax
from configs.mesh import MeshConfig
from tests.support.training_run import SMALLEST, random_state, write_training_run

config = replace(SMALLEST, mesh=MeshConfig(fsdp=2))
state = random_state(config)
assert any(len(leaf.sharding.device_set) == 2 and not leaf.is_fully_replicated for leaf in jax.tree.leaves(state))
write_training_run(Path(sys.argv[1]), config)
"""


@pytest.mark.slow
def test_a_sharded_run_becomes_the_same_tensors_as_a_whole_one(run, folder, tmp_path):
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", SAVE_ON_TWO_DEVICES, tmp_path / "sharded"], check=True, env=environment)
    assert jax.device_count() == 1
    convert(tmp_path / "sharded", tmp_path / "there")
    assert main(["diff", str(tmp_path / "there"), str(folder)]) == 0
    assert main(["diff", str(tmp_path / "sharded"), str(run)]) == 0
