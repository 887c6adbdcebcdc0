"""Configs and command lines of older versions are read, with a warning that names the new settings (row 21)."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from configs.config import Config
from configs.presets import TINY
from configs.serialization import versions
from configs.serialization.config_json import from_json, to_json
from configs.serialization.overrides import override
from configs.serialization.versions import ADDED, RENAMED, VERSION
from tests.support.refusals import error_message

VERSION_1 = (Path(__file__).parent / "fixtures" / "config_v1.json").read_text()
"""Written by commit 179b89d: `aef config tiny` with a value other than the default for every renamed setting."""
NAMES = {
    "model.num_blocks": 3,
    "model.embed_dim": 16,
    "training.grad_accum_steps": 2,
    "training.max_consecutive_skips": 4,
    "training.validation_sites": 7,
    "data.min_period_days": 6,
    "data.min_target_fraction": 0.2,
    "data.workers": 1,
}


@pytest.fixture(autouse=True)
def _forget_warnings():
    versions._warn_once.cache_clear()


@pytest.fixture
def warnings(caplog):
    """The log: its `messages` are the warnings so far."""
    caplog.set_level(logging.WARNING)
    return caplog


def value(config, name):
    section, setting = name.split(".")
    return getattr(getattr(config, section), setting)


def edited_version_1(edit) -> str:
    tree = json.loads(VERSION_1)
    edit(tree)
    return json.dumps(tree)


def test_version_1_is_read_with_all_of_its_values():
    config = from_json(VERSION_1)
    assert {name: value(config, name) for name in NAMES} == NAMES
    assert [source.name for source in config.sources] == ["sentinel2", "nlcd", "text"]
    written, read = json.loads(VERSION_1), json.loads(to_json(config))
    for section in ("model", "objective", "training", "data", "mesh"):
        renamed = {
            RENAMED.get(f"{section}.{name}", f".{name}").split(".")[1]: v for name, v in written[section].items()
        }
        added = {name: before for name, (_, before) in ADDED.items() if name.startswith(f"{section}.")}
        assert read[section] == {name.split(".")[1]: before for name, before in added.items()} | renamed
    assert read["sources"] == written["sources"]


def test_renamed_settings_cause_one_warning_of_one_sentence(warnings):
    from_json(VERSION_1)
    from_json(VERSION_1)
    (sentence,) = warnings.messages
    assert "\n" not in sentence
    for old, new in RENAMED.items():
        assert f"{old} is now {new}" in sentence


def test_a_config_of_the_present_version_causes_no_warning(warnings):
    assert json.loads(to_json(TINY))["version"] == VERSION == 6
    assert from_json(to_json(TINY)) == TINY
    assert warnings.messages == []


def test_version_1_may_be_stated():
    assert from_json(edited_version_1(lambda tree: tree.update(version=1))) == from_json(VERSION_1)


def test_an_older_file_has_the_values_of_its_time():
    assert ADDED == {
        "data.workers": (2, 0),
        "training.freeze": (4, ""),
        "model.architecture": (5, 1),
        "training.evaluate_labels": (6, ""),
    }
    before = from_json(edited_version_1(lambda tree: tree["data"].pop("workers")))
    after = from_json(VERSION_1)
    assert before == replace(after, data=replace(after.data, workers=0))
    assert (before.model.architecture, Config().model.architecture) == (1, 2)


def test_the_present_version_must_have_every_setting():
    tree = json.loads(to_json(TINY))
    del tree["data"]["workers"]
    assert "config.data: the field 'workers' is missing" in error_message(from_json, json.dumps(tree))


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (7, "config.version is 7, expected at most 6: a newer aef wrote this config"),
        (0, "config.version is 0, expected an integer of at least 1"),
        ("2", "config.version is '2', expected an integer"),
        (True, "config.version is True, expected an integer"),
        (None, "config.version is None, expected an integer"),
    ],
)
def test_an_unknown_version_is_refused(version, sentence):
    assert sentence in error_message(from_json, edited_version_1(lambda tree: tree.update(version=version)))


def test_a_file_with_an_old_and_its_new_name_is_refused():
    text = edited_version_1(lambda tree: tree["model"].update(num_blocks=3))
    assert "config: model.blocks and model.num_blocks are the same setting" in error_message(from_json, text)


def test_old_names_on_the_command_line_are_read_with_a_warning(warnings):
    old = override(TINY, ["--training.skipped-in-a-row", "4", "--model.blocks=3"])
    assert old == override(TINY, ["--training.max_consecutive_skips", "4", "--model.num_blocks=3"])
    assert warnings.messages == [
        "settings have new names: training.skipped_in_a_row is now training.max_consecutive_skips,"
        " model.blocks is now model.num_blocks"
    ]


def test_the_command_line_cannot_use_both_names():
    sentence = error_message(override, TINY, ["--model.blocks", "3", "--model.num_blocks", "4"])
    assert sentence == "model.blocks and model.num_blocks are the same setting, expected only model.num_blocks"


@pytest.mark.parametrize("name", RENAMED.values())
def test_every_new_name_is_a_setting(name):
    assert value(TINY, name) is not None


def test_valid_ranges_of_version_2_become_those_of_stored_values():
    """Until version 2 they were in the band's unit after scaling."""
    tree = json.loads(to_json(replace(TINY, sources=TINY.sources[:1])))
    after_scaling = {"none": [1, 2.5], "log1p": [0, 7], "radians": [0, 1.5], "palsar_decibel": [-30, 10]}
    stored = {"none": (1, 2.5), "log1p": (0, 1095.63), "radians": (0, 85.9437), "palsar_decibel": (446.684, 44_668.4)}
    bands = tree["sources"][0]["bands"]
    for band, scaling in zip(bands, after_scaling, strict=False):
        band.update(scaling=scaling, valid_range=after_scaling[scaling])
    bands[4].update(scaling="log1p", valid_range=None)
    tree["version"] = 2
    read = from_json(json.dumps(tree)).sources[0].bands
    for band in read[:4]:
        assert band.valid_range == pytest.approx(stored[band.scaling], rel=1e-5)
    assert read[4].valid_range is None
    bands[1]["valid_range"] = [0, 1e9]
    assert "valid_range[1] is inf, expected a finite number" in error_message(from_json, json.dumps(tree))
    bands[1]["valid_range"] = "wide"
    assert "valid_range is 'wide', expected a list" in error_message(from_json, json.dumps(tree))
