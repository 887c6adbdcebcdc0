"""Data sets of version 1, with a `heldout` split and a `normalisation`, are read, trained on and given texts."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from aef_jax.data.inspect.check import problems
from aef_jax.data.loading.training_data import find_site, open_data, open_examples
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.versions import VERSION
from aef_jax.data.text.rewrite import rewrite
from configs.batch import Batch
from configs.config import Config
from tests.support.data.small_dataset import as_version_1, as_version_3, assert_same, change_description, write_small
from tests.support.data.small_site import CONFIG, TEXT_WIDTH
from tests.support.paths import REPOSITORY
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow


@pytest.fixture
def old_dataset(tmp_path) -> Path:
    return as_version_1(write_small(tmp_path / "old"))


def at(path: Path) -> Config:
    return replace(CONFIG, data=replace(CONFIG.data, path=str(path)))


def assert_same_batch(batch: Batch, expected: Batch) -> None:
    jax.tree.map(np.testing.assert_array_equal, batch, expected)


def test_version_1_is_opened_as_the_current_version(old_dataset, small_dataset):
    old, new = Dataset.open(old_dataset), Dataset.open(small_dataset)
    assert old.normalization.as_table() == new.normalization.as_table()
    uncounted = {name: replace(row, values=(), out_of_range=()) for name, row in new.sources.items()}
    assert (old.sources, old.smallest) == (uncounted, None)
    assert {source.name for source in old.definitions} == {source.name for source in new.definitions}
    for split in SPLITS:
        for old_site, new_site in zip(old.records(split), new.records(split), strict=True):
            assert_same(old_site, new_site)


def test_version_3_is_opened_without_what_it_does_not_know(own_dataset, small_dataset):
    old, new = Dataset.open(as_version_3(own_dataset)), Dataset.open(small_dataset)
    assert (old.labels, old.moments, old.levels, old.listed_names("training")) == (None, None, {}, [])
    assert list(old.site_names()) == list(new.site_names())
    assert (old.sources, old.smallest, old.definitions) == (new.sources, new.smallest, new.definitions)
    assert open_data(at(own_dataset)).data_fingerprint == open_data(at(small_dataset)).data_fingerprint
    assert list(problems(own_dataset)) == []


def test_version_1_names_its_smallest_site_once_it_is_rewritten(old_dataset, small_dataset):
    written = rewrite(Dataset.open(old_dataset), lambda split, index, site: site, 0, "")
    assert Dataset.open(old_dataset).smallest == written.smallest == Dataset.open(small_dataset).smallest


def test_version_1_with_the_new_name_of_a_table_is_opened(old_dataset):
    change_description(old_dataset, lambda table: table.update(normalization=table.pop("normalisation")))
    assert len(Dataset.open(old_dataset).records("validation")) == 2


def test_dataset_written_by_old_code_has_no_problem():
    folder = REPOSITORY / "tests" / "legacy" / "fixture" / "dataset"
    dataset = Dataset.open(folder)
    assert [[site.name for site in dataset.records(split)] for split in SPLITS] == [
        ["site0", "site1", "site2"],
        ["site3", "site4"],
    ]
    assert list(problems(folder)) == []


def test_version_1_is_checked(old_dataset):
    assert list(problems(old_dataset)) == []


def test_version_1_gives_the_same_examples(old_dataset, small_dataset):
    old, new = open_examples(at(old_dataset)), open_examples(at(small_dataset))
    assert_same_batch(old[0], new[0])
    old_data, new_data = open_data(at(old_dataset)), open_data(at(small_dataset))
    for kind, examples in new_data.validation.items():
        assert_same_batch(old_data.validation[kind][0].batch, examples[0].batch)
    assert find_site(old_dataset, None).name == find_site(small_dataset, None).name


def test_version_1_is_rewritten_as_the_current_version(old_dataset, small_dataset):
    rewrite(Dataset.open(old_dataset), lambda split, index, site: site, TEXT_WIDTH, "a model")
    table = json.loads((old_dataset / "dataset.json").read_text())
    assert table["version"] == VERSION
    assert set(table["splits"]) == set(SPLITS)
    assert "normalisation" not in table
    assert [file.name for file in old_dataset.glob("heldout*")] == []
    rewritten, new = Dataset.open(old_dataset), Dataset.open(small_dataset)
    for rewritten_site, site in zip(rewritten.records("validation"), new.records("validation"), strict=True):
        assert_same(rewritten_site, site)


@pytest.mark.parametrize("splits", [None, [], 3])
def test_version_1_without_splits_is_refused(old_dataset, splits):
    change_description(old_dataset, lambda table: table.update(splits=splits))
    assert "dataset.json: not the description of a data set" in error_message(Dataset.open, old_dataset)


def test_old_split_name_is_refused_in_the_current_version(own_dataset):
    change_description(own_dataset, lambda table: table["splits"].update(heldout=table["splits"].pop("validation")))
    assert "dataset.json: not the description of a data set" in error_message(Dataset.open, own_dataset)
