"""Files from anywhere are read with bounds, and JSON without what readers understand differently."""

import json
import os
import tracemalloc
from dataclasses import replace

import pytest

from configs.presets import TINY
from configs.serialization.config_json import from_json, to_json
from configs.serialization.overrides import override
from configs.serialization.read_file import read_bytes, read_text, require_inside, require_regular
from configs.serialization.strict_json import MAX_DEPTH, loads, read_json
from tests.support.hostile_names import HOSTILE_NAMES, assert_harmless
from tests.support.refusals import error_message

HOSTILE = {
    "10,000 brackets": "[" * 10_000 + "]" * 10_000,
    "100,000 objects": '{"a":' * 100_000,
    "one level too many": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "a huge number": "1" + "0" * 100_000,
    "a number of 65 bits": str(2**63),
    "a number below those of 64 bits": str(-(2**63) - 1),
    "NaN": "[NaN]",
    "Infinity": '{"a": Infinity}',
    "a number that becomes infinite": "1e999",
    "a name twice": '{"a": 1, "b": {"c": 1, "c": 2}}',
    "half a letter": r'["\ud800"]',
    "half a letter in a name": r'{"\uDC00": 1}',
    "bytes that are no UTF-8": b'["\xff"]',
    "half a letter in UTF-8": b'["\xed\xa0\x80"]',
    "UTF-16": "[1]".encode("utf-16"),
    "nothing": "",
    "two values": "[] []",
    "a comma too many": "[1,]",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_strict_json_is_refused(what):
    message = error_message(loads, "file.json", HOSTILE[what])
    assert message.startswith("file.json: its JSON cannot be read: ")
    assert_harmless(message)


@pytest.mark.parametrize("name", HOSTILE_NAMES.values())
def test_a_hostile_name_twice_is_printed_escaped(name):
    assert_harmless(error_message(loads, "file.json", f"{{{json.dumps(name)}: 1, {json.dumps(name)}: 2}}"))


def test_json_within_the_bounds_is_read():
    tree = {"a": [1, -2.5, None, True, "\U0001f600", 2**63 - 1, -(2**63)], "": {}}
    assert loads("x", json.dumps(tree)) == loads("x", json.dumps(tree).encode()) == tree
    deepest = loads("x", "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (deepest,) = deepest
    assert deepest == []


def test_a_folder_a_pipe_or_a_device_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link", *map(type(tmp_path), ("/dev/zero", "/dev/null"))):
        for read in (read_text, read_bytes, read_json, require_regular):
            assert f"{path} is a folder, a pipe or a device" in error_message(read, path)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "missing")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    assert f"{path} has {2**40:,} bytes, expected at most 1,000" in error_message(read_bytes, path, 1000)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    path.write_bytes(b"x" * 1000)
    assert read_text(path, 1000) == "x" * 1000
    path.write_bytes(b"a\xff")
    assert f"{path}: not text in UTF-8" in error_message(read_text, path)


def test_a_link_out_of_its_folder_is_refused(tmp_path):
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.write_text("{}")
    (folder / "out").symlink_to(other)
    (folder / "in").symlink_to("out2")
    (folder / "out2").write_text("{}")
    (tmp_path / "alias").symlink_to(folder)
    assert f"link to {other}, outside of the folder" in error_message(require_inside, folder, folder / "out")
    require_inside(folder, folder / "in")
    require_inside(tmp_path / "alias", tmp_path / "alias" / "out2")


@pytest.mark.parametrize("text", ["9" * 5000, str(2**63), "1e999"])
def test_a_config_has_numbers_of_64_bits(text):
    assert_harmless(error_message(override, TINY, ["--training.steps", text]))
    changed = to_json(TINY).replace(f'"steps": {TINY.training.steps}', f'"steps": {text}')
    assert_harmless(error_message(from_json, changed))


@pytest.mark.slow
def test_a_list_of_a_config_is_bounded():
    tree = json.loads(to_json(TINY))
    tree["sources"] = [tree["sources"][0]] * 10_001
    assert "expected at most 10000 items" in error_message(from_json, json.dumps(tree))
    names = replace(TINY.sources[0], name="a" * 150)
    assert len(error_message(replace, TINY, sources=(names,) * 100)) < 800
