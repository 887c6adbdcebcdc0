"""A header of safetensors is bounded, and says of every byte which tensor's it is."""

import json
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

from aef_jax.files.safetensors_header import MAX_HEADER_BYTES, header_length, parse_header
from tests.support.hostile_names import assert_harmless
from tests.support.refusals import error_message


def _entry(begin: int, end: int, **changed) -> dict:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]} | changed


HOSTILE = {
    "tensors that overlap": ({"a": _entry(0, 6), "b": _entry(4, 10)}, "tensor b begins at byte"),
    "a hole between tensors": ({"a": _entry(0, 4), "b": _entry(6, 10)}, "tensor b begins at byte"),
    "a hole before the first": ({"a": _entry(2, 10)}, "tensor a begins at byte"),
    "bytes of no tensor": ({"a": _entry(0, 4)}, "its tensors end at byte"),
    "the same bytes twice": ({"a": _entry(0, 10), "b": _entry(0, 10)}, "tensor b begins at byte"),
    "33 axes": ({"a": _entry(0, 10, shape=[1] * 32 + [10])}, "or has more than 32 axes"),
    "metadata of numbers": ({"a": _entry(0, 10), "__metadata__": {"site": 7}}, "its metadata are {'site': 7}"),
    "metadata of text": ({"a": _entry(0, 10), "__metadata__": "site"}, "its metadata are 'site'"),
    "an offset of truth": ({"a": _entry(0, 1, data_offsets=[False, True])}, "lacks a dtype, a shape or two offsets"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_inconsistent_header_is_refused(what):
    header, reason = HOSTILE[what]
    text = json.dumps(header).encode()
    message = error_message(parse_header, "file", text, 8 + len(text) + 10)
    assert message.startswith("file: ")
    assert reason in message
    assert_harmless(message)


def test_a_header_of_the_library_is_parsed():
    tensors = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "empty": np.zeros((0, 4)), "b": np.ones(3)}
    blob = save(tensors, metadata={"key": "value"})
    length = header_length(blob[:8], len(blob))
    metadata, entries = parse_header("file", blob[8 : 8 + length], len(blob))
    assert metadata == {"key": "value"}
    for name, entry in entries.items():
        assert blob[entry.begin : entry.end] == tensors[name].tobytes()


def test_a_large_header_is_refused_before_it_is_read():
    tracemalloc.start()
    prefix = (MAX_HEADER_BYTES + 1).to_bytes(8, "little")
    assert "expected at most 100000000" in error_message(header_length, prefix, 2**40)
    assert tracemalloc.get_traced_memory()[1] < 2**16
    tracemalloc.stop()
