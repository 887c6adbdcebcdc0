"""Fuzz the decoder of records, and the header of safetensors: each is read or refused in one sentence."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from aef_jax.data.store.record import decode, encode
from aef_jax.files.safetensors_header import header_length, parse_header
from configs.encodings.timecode import DAY_MS
from parity.files.weights_folder import Weights
from tests.support.data.small_site import START_MS, small_site
from tests.support.mutations import assert_reads_or_refuses, fuzz, mutated_bytes, mutated_tree

pytestmark = pytest.mark.slow

SITE = replace(
    small_site().window(slice(0, 6), slice(0, 8)),
    support=(START_MS, START_MS + 365 * DAY_MS),
    labels={"landcover": np.arange(48, dtype=np.uint8).reshape(6, 8)},
)
RECORD = encode(SITE)
END = 8 + int.from_bytes(RECORD[:8], "little")
HEADER = json.loads(RECORD[8:END])
ATTRIBUTES = json.loads(HEADER["__metadata__"]["site"])
WEIGHTS = save({"a.weight": np.ones((2, 3), np.float32), "b": np.zeros(4, np.int64)}, metadata={"format": "pt"})
WEIGHTS_END = 8 + int.from_bytes(WEIGHTS[:8], "little")
WEIGHTS_HEADER = json.loads(WEIGHTS[8:WEIGHTS_END])


def _with_header(header: bytes, blob: bytes, end: int) -> bytes:
    return len(header).to_bytes(8, "little") + header + blob[end:]


def _read_record(blob: bytes) -> None:
    site = decode(blob, "record 1")
    for series in site.series.values():
        corner = series.pixels[:, -1:, -1:]
        assert len(corner.tobytes()) == corner.nbytes


def _read_header(blob: bytes) -> None:
    length = header_length(blob, len(blob))
    _, entries = parse_header("weights", blob[8 : 8 + length], len(blob))
    for entry in entries.values():
        assert np.frombuffer(blob[entry.begin : entry.end], entry.dtype).reshape(entry.shape).shape == entry.shape


def _read_tensors(path: Path) -> None:
    weights = Weights.open(path)
    for name in weights.specs:
        assert weights.tensor(name).nbytes == weights.specs[name].nbytes


@fuzz(1000, blob=mutated_bytes(RECORD, END))
def test_bytes_of_a_record(blob):
    assert_reads_or_refuses(lambda: _read_record(blob))


@fuzz(1000, text=mutated_tree(HEADER))
def test_header_of_a_record(text):
    assert_reads_or_refuses(lambda: _read_record(_with_header(text, RECORD, END)))


@fuzz(1000, text=mutated_tree(ATTRIBUTES))
def test_attributes_of_a_record(text):
    header = HEADER | {"__metadata__": {"site": text.decode()}}
    assert_reads_or_refuses(lambda: _read_record(_with_header(json.dumps(header).encode(), RECORD, END)))


@fuzz(2000, blob=mutated_bytes(WEIGHTS, WEIGHTS_END))
def test_bytes_of_a_safetensors_header(blob):
    assert_reads_or_refuses(lambda: _read_header(blob))


@fuzz(2000, text=mutated_tree(WEIGHTS_HEADER))
def test_tree_of_a_safetensors_header(text):
    assert_reads_or_refuses(lambda: _read_header(_with_header(text, WEIGHTS, WEIGHTS_END)))


def test_files_of_weights(tmp_path):
    path = tmp_path / "model.safetensors"

    @fuzz(1000, blob=mutated_bytes(WEIGHTS, WEIGHTS_END))
    def check_file(blob):
        path.write_bytes(blob)
        assert_reads_or_refuses(lambda: _read_tensors(path))

    check_file()
