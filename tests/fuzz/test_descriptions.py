"""Fuzz `dataset.json`, `config.json`, statistics and dotted overrides: read, or refused in one sentence."""

import json
from pathlib import Path

import pytest
from hypothesis import strategies as st

from aef_jax.cli.arguments import split_settings
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from configs.presets import TINY
from configs.serialization.config_json import from_json, to_json
from configs.serialization.overrides import field_names, override
from configs.serialization.read_file import read_text
from tests.support.data.small_dataset import write_small
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.mutations import (
    ODD_VALUES,
    assert_reads_or_refuses,
    fuzz,
    mutated_bytes,
    mutated_tree,
)

pytestmark = pytest.mark.slow

MUTATIONS = [mutated_tree, lambda tree: mutated_bytes(json.dumps(tree).encode())]
"""Of a tree of JSON, and of its bytes."""
CONFIG = to_json(TINY)
STATISTICS = {"sentinel2": {"mean": [0.5, None], "deviation": [1.5, None]}, "nlcd": {"mean": [1], "deviation": [2]}}
NAMES = field_names(TINY)
WORDS = (*map(str, NAMES[:40]), "sources", "sources.sentinel2.weight", "model", "training.", ".", "--", "", "a.b.c.d.e")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_small(tmp_path_factory.mktemp("dataset") / "small")


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_descriptions_of_data_sets(dataset, mutate):
    file = dataset / "dataset.json"
    table = json.loads(file.read_text())

    @fuzz(1000, text=mutate(table))
    def check_description(text):
        file.write_bytes(text)
        assert_reads_or_refuses(lambda: Dataset.open(dataset))

    check_description()
    file.write_text(json.dumps(table))
    assert Dataset.open(dataset).text_points


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_configs(mutate, tmp_path):
    tree, file = json.loads(CONFIG), tmp_path / "config.json"

    @fuzz(1000, text=mutate(tree))
    def check_config(text):
        file.write_bytes(text)
        assert_reads_or_refuses(lambda: from_json(read_text(file)))

    check_config()
    assert from_json(CONFIG) == TINY


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_statistics(mutate, tmp_path):
    file = tmp_path / "normalization.json"

    @fuzz(1000, text=mutate(STATISTICS))
    def check_statistics(text):
        file.write_bytes(text)
        assert_reads_or_refuses(lambda: Normalization.load(file).as_table())

    check_statistics()
    file.write_text(json.dumps(STATISTICS))
    assert Normalization.load(file).as_table() == STATISTICS


def _texts(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


VALUES = st.sampled_from([_texts(value) for value in ODD_VALUES] + ["sentinel2,landsat", "1", "0.5", "bfloat16", "2,3"])
NAME = st.sampled_from([*WORDS, *HOSTILE_NAMES.values()])
SETTING = st.one_of(
    st.tuples(NAME.map("--{}".format), VALUES), st.builds("--{}={}".format, NAME, VALUES).map(lambda word: (word,))
)


@fuzz(2000, settings=st.lists(st.one_of(SETTING, VALUES.map(lambda word: (word,))), min_size=1, max_size=3))
def test_dotted_overrides(settings):
    words = [word for setting in settings for word in setting]
    assert_reads_or_refuses(lambda: override(TINY, words))
    rest, taken = split_settings(words)
    assert sorted([*rest, *taken]) == sorted(words)


def test_nothing_is_left_in_the_folder():
    assert not (Path.cwd() / ".hypothesis").exists()
