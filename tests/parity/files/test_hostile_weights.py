"""Weights from anywhere: errors are one sentence, nothing in a file is executed, and nothing is written."""

import json
import pickle
import shutil
import struct
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from configs.serialization.printable import printable
from configs.serialization.strict_json import loads
from parity.cli import main
from parity.files.weights_file import WeightsFile
from parity.files.weights_folder import ShardsWriter, Weights
from parity.mapping.spec import Spec
from tests.support.converting import mistake, random_tensors, write


def safetensors_bytes(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


HOSTILE = {
    "empty": b"",
    "a pickle": pickle.dumps({"weight": [1.0]}),
    "a huge header": struct.pack("<Q", 2**60) + b"{}",
    "a header of 1 TB": struct.pack("<Q", 10**12) + b"{}",
    "nested JSON": safetensors_bytes(b"[" * 100_000),
    "a tensor beyond the file": safetensors_bytes(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}', b"1234"),
    "a tensor of 1 TB": safetensors_bytes(
        b'{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}', b"1234"
    ),
    "more numbers than can be": safetensors_bytes(
        b'{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,4]}}', b"1234"
    ),
    "overlapping tensors": safetensors_bytes(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
        bytes(12),
    ),
    "a hole between tensors": safetensors_bytes(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}',
        bytes(12),
    ),
}


@pytest.mark.parametrize("content", HOSTILE)
def test_what_is_no_safetensors_is_told(content, tmp_path, capsys):
    (tmp_path / "in.safetensors").write_bytes(HOSTILE[content])
    message = mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run")
    assert "in.safetensors is not a whole safetensors file" in message
    assert "\n" not in message


def test_a_pytorch_pickle_is_told(tmp_path, capsys):
    torch.save({"weight": torch.ones(2)}, tmp_path / "in.safetensors")
    assert "is not a whole safetensors file" in mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run")


@pytest.mark.parametrize("twice", [b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}', b'"__metadata__":{}'])
def test_a_name_given_twice_is_told(twice, tmp_path, capsys):
    header = b'{%s,%s,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}' % (twice, twice)
    (tmp_path / "in.safetensors").write_bytes(safetensors_bytes(header, bytes(8)))
    message = mistake(capsys, tmp_path / "in.safetensors", tmp_path / "run")
    assert "in.safetensors" in message
    assert "more than once" in message or "duplicate" in message


def test_a_name_given_twice_among_many_is_found_at_once():
    names = [*map(str, range(100_000)), "last", "last"]
    start = time.monotonic()
    with pytest.raises(ValueError, match="it names last more than once"):
        loads(Path("index"), "{" + ",".join(f'"{name}":0' for name in names) + "}")
    assert time.monotonic() - start < 10


EVIL, ESCAPED = "\x1b]0;owned\x07a\nFAKE LINE\u202e", r"\x1b]0;owned\x07a\nFAKE LINE\u202e"


def test_names_are_printed_without_what_a_terminal_obeys(tmp_path, capsys):
    assert printable("encoder.blocks.1 größe") == "encoder.blocks.1 größe"
    assert printable("\ud800") == r"\ud800"
    assert printable("a" * 1000) == "a" * 200 + "..."
    weights, other, run = tmp_path / "in.safetensors", tmp_path / "other.safetensors", tmp_path / "run"
    assert f"unexpected: {ESCAPED}, found" in mistake(capsys, write(weights, {**TENSORS, EVIL: np.ones(1)}), run)
    for begin, message in ((0, f"tensor {ESCAPED} is of type F4"), (1, f"invalid offset for tensor `{ESCAPED}`")):
        header = {EVIL: {"dtype": "F4", "shape": [2], "data_offsets": [begin, begin + 1]}}
        weights.write_bytes(safetensors_bytes(json.dumps(header).encode(), bytes(begin + 1)))
        assert message in mistake(capsys, weights, run)
    save_file({EVIL: np.ones(1, np.float32)}, weights)
    save_file({EVIL: np.zeros(1, np.float32)}, other)
    for path, code in ((weights, 0), (other, 1)):
        assert main(["diff", str(weights), str(path)]) == code
        assert f": {ESCAPED}" in capsys.readouterr().out.splitlines()[0]


def test_a_damaged_tensor_is_named_without_what_a_terminal_obeys(tmp_path, capsys):
    for digest, message in ((64 * "1", f"tensor {ESCAPED} has the checksum"), (EVIL, "is not the JSON of a checksum")):
        save_file({EVIL: np.ones(1, np.float32)}, tmp_path / "in.safetensors", {"sha256": json.dumps({EVIL: digest})})
        assert main(["diff", *2 * [str(tmp_path / "in.safetensors")]]) == 2
        assert message in capsys.readouterr().err


def test_a_dtype_that_jax_lacks_is_told(tmp_path, capsys):
    header = b'{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}'
    (tmp_path / "in.safetensors").write_bytes(safetensors_bytes(header, b"1"))
    assert "tensor a is of type F4, expected one of F64" in mistake(
        capsys, tmp_path / "in.safetensors", tmp_path / "run"
    )


def test_a_file_cut_short_is_told(tmp_path, capsys):
    weights = write(tmp_path / "in.safetensors", random_tensors())
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "is not a whole safetensors file" in mistake(capsys, weights, tmp_path / "run")


@pytest.mark.parametrize("size", [4, 20])
def test_a_file_cut_short_while_it_is_opened_is_told(size, tmp_path, monkeypatch):
    weights = write(tmp_path / "in.safetensors", TENSORS)

    @contextmanager
    def cut_after(path, framework):
        with safe_open(path, framework) as file:
            yield file
        path.write_bytes(path.read_bytes()[:size])

    monkeypatch.setattr("parity.files.safetensors_header.safe_open", cut_after)
    with pytest.raises(ValueError, match=r"in.safetensors is not a whole safetensors file \(it became shorter"):
        WeightsFile.open(weights)


def test_a_file_cut_short_after_it_was_opened_is_told(tmp_path):
    weights = write(tmp_path / "in.safetensors", TENSORS)
    file = WeightsFile.open(weights)
    weights.write_bytes(weights.read_bytes()[:-72])
    with pytest.raises(ValueError, match=r"in.safetensors is not a whole safetensors file \(it became shorter"):
        file.tensor("c")


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_told(value, tmp_path, capsys):
    tensors = random_tensors()
    tensors["summary.key.weight"][1, 2] = value
    message = mistake(capsys, write(tmp_path / "in.safetensors", tensors), tmp_path / "run")
    assert f"tensor summary.key.weight holds 1 value that is not finite, the first ({value}) at [1, 2]" in message
    assert message.endswith("give --allow-nonfinite to convert them all the same")
    assert "\n" not in message


TENSORS = {name: np.full((2, 3), number, np.float32) for number, name in enumerate("abc")}


@pytest.fixture
def sharded(tmp_path) -> Path:
    """Three shards of a tensor each."""
    folder = tmp_path / "in"
    folder.mkdir()
    specs = {name: Spec.of(array) for name, array in TENSORS.items()}
    with ShardsWriter(folder, "model", specs, {}, shard_size=24) as writer:
        for name, array in TENSORS.items():
            writer.write(name, array)
    return folder


def change_index(folder: Path, **where: str | None) -> None:
    index = folder / "model.safetensors.index.json"
    tree = json.loads(index.read_text())
    changed = tree["weight_map"] | where
    tree["weight_map"] = {name: shard for name, shard in changed.items() if shard is not None}
    index.write_text(json.dumps(tree))


def test_shards_and_index_are_those_of_hugging_face(sharded):
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert sorted(path.name for path in sharded.iterdir()) == [*names, "model.safetensors.index.json"]
    assert (sharded / "model.safetensors.index.json").read_text() == (
        '{\n  "metadata": {\n    "total_size": 72\n  },\n  "weight_map": {\n'
        f'    "a": "{names[0]}",\n    "b": "{names[1]}",\n    "c": "{names[2]}"\n  }}\n}}\n'
    )
    weights = Weights.open(sharded)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(weights.tensor(name), array)


@pytest.mark.parametrize("name", ["../in/model-00001-of-00003.safetensors", "/etc/passwd", "..", "", "a\0.safetensors"])
def test_a_shard_elsewhere_is_told(name, sharded, tmp_path, capsys):
    change_index(sharded, a=name)
    message = mistake(capsys, sharded, tmp_path / "run")
    assert f"a shard is called {name!r}, expected the name of a .safetensors file beside it" in message


@pytest.mark.parametrize("file", ["model-00002-of-00003.safetensors", "model.safetensors.index.json"])
def test_a_link_out_of_the_folder_is_told(file, sharded, tmp_path, capsys):
    shutil.move(sharded / file, tmp_path / file)
    (sharded / file).symlink_to(tmp_path / file)
    assert f"{file} is a link to {tmp_path / file}, outside of the folder" in mistake(capsys, sharded, tmp_path / "run")


def test_an_index_that_does_not_fit_its_shards_is_told(sharded, tmp_path, capsys):
    run = tmp_path / "run"
    change_index(sharded, d="model-00001-of-00003.safetensors")
    assert "says that model-00001-of-00003.safetensors holds d, which it does not" in mistake(capsys, sharded, run)
    change_index(sharded, d=None, b="model-00001-of-00003.safetensors")
    assert "says that model-00001-of-00003.safetensors holds b, which it does not" in mistake(capsys, sharded, run)
    change_index(sharded, b="model-00002-of-00003.safetensors")
    save_file(TENSORS, sharded / "model-00003-of-00003.safetensors")
    assert "of-00003.safetensors: it holds a, which model.safetensors.index.json does not" in mistake(
        capsys, sharded, run
    )
    (sharded / "model-00003-of-00003.safetensors").unlink()
    assert "its shard model-00003-of-00003.safetensors is missing" in mistake(capsys, sharded, run)


def test_a_file_beside_an_index_is_told(sharded, tmp_path, capsys):
    save_file(TENSORS, sharded / "model.safetensors")
    message = mistake(capsys, sharded, tmp_path / "run")
    assert message == f"{sharded} holds both model.safetensors and model.safetensors.index.json: remove one of them"


def test_shard_name_is_printed_without_terminal_escapes(sharded, tmp_path, capsys):
    change_index(sharded, a=f"{EVIL}.safetensors")
    message = mistake(capsys, sharded, tmp_path / "run")
    assert f"a shard is called '{ESCAPED}.safetensors', expected the name of a .safetensors file beside it" in message
    change_index(sharded, a="model-00001-of-00003.safetensors", **{EVIL: "model-00001-of-00003.safetensors"})
    assert f"holds {ESCAPED}, which it does not" in mistake(capsys, sharded, tmp_path / "run")
    change_index(sharded, **{EVIL: None})
    save_file({"a": TENSORS["a"], EVIL: TENSORS["b"]}, sharded / "model-00001-of-00003.safetensors")
    assert f"it holds {ESCAPED}, which model.safetensors.index.json" in mistake(capsys, sharded, tmp_path / "run")


def test_a_shard_cut_short_is_told(sharded, tmp_path, capsys):
    shard = sharded / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert f"{shard} is not a whole safetensors file" in mistake(capsys, sharded, tmp_path / "run")


def test_a_shard_of_another_checkpoint_is_told(sharded, tmp_path, capsys):
    save_file({"b": TENSORS["b"]}, sharded / "model-00002-of-00003.safetensors", metadata={"aef_step": "3"})
    assert "are of different checkpoints by their metadata" in mistake(capsys, sharded, tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its JSON cannot be read"),
        ("[" * 100_000, "its JSON cannot be read"),
        ('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "it names a more than once"),
        ('{"weight_map": {"a": 1}}', "its weight_map does not say for each tensor in which file it is"),
        ("[]", "its weight_map does not say"),
    ],
)
def test_an_index_that_is_none_is_told(text, message, sharded, tmp_path, capsys):
    (sharded / "model.safetensors.index.json").write_text(text)
    assert message in mistake(capsys, sharded, tmp_path / "run")


def test_a_flipped_bit_is_told(sharded):
    shard = sharded / "model-00003-of-00003.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    weights = Weights.open(sharded)
    np.testing.assert_array_equal(weights.tensor("b"), TENSORS["b"])
    with pytest.raises(ValueError, match=r"model-00003-of-00003.safetensors is damaged: tensor c has the checksum"):
        weights.tensor("c")
