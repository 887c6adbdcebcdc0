"""A data set is written completely or not at all, and reads as it was written; unfit sites are refused."""

import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Site, TextPoints
from aef_jax.data.store.statistics import normalization_of
from aef_jax.data.store.writer import DatasetWriter
from tests.support.data.small_dataset import TRAINING, VALIDATION, assert_same, small_sites, write, write_small
from tests.support.data.small_site import CONFIG, START_MS, TEXT_WIDTH, small_site
from tests.support.paths import PROGRAMS
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

KILLED = PROGRAMS / "write_until_killed.py"
SOURCES = CONFIG.decoded_sources


# --- What was written is read ---


def test_records_are_read_back_by_split_and_in_order(small_dataset):
    dataset = Dataset.open(small_dataset)
    for split, sites in (("training", small_sites(TRAINING)), ("validation", small_sites(VALIDATION, first_seed=10))):
        records = dataset.records(split)
        assert len(records) == len(sites)
        for read, site in zip(records, sites, strict=True):
            assert_same(read, site)


def test_description_matches_the_sites(small_dataset):
    dataset, sites = Dataset.open(small_dataset), [*small_sites(TRAINING), *small_sites(VALIDATION, first_seed=10)]
    assert set(dataset.sources) == {source.name for source in SOURCES}
    for name, stored in dataset.sources.items():
        series = [site.series[name] for site in sites]
        times = np.concatenate([each.time_ms for each in series])
        assert stored.frames == len(times)
        assert (stored.first_ms, stored.last_ms) == (times.min(), times.max())
        assert stored.pixels == len(times) * 16 * 16
        assert stored.valid_pixels == sum(each.valid.any(axis=-1).sum() for each in series)
        assert stored.dtype == series[0].pixels.dtype.name
    assert dataset.sources["sentinel2"].bands == ("B2", "B3", "B4", "B8", "B11")
    assert dataset.text_points == sum(len(site.text) for site in sites) > 0
    assert (dataset.text_width, dataset.text_model) == (TEXT_WIDTH, "")


def test_statistics_are_of_the_training_records_alone(small_dataset):
    normalization = Dataset.open(small_dataset).normalization
    of_training = normalization_of(small_sites(TRAINING), SOURCES)
    assert set(normalization.mean) == set(of_training.mean)
    for name in normalization.mean:
        np.testing.assert_array_equal(normalization.mean[name], of_training.mean[name])
        np.testing.assert_array_equal(normalization.deviation[name], of_training.deviation[name])


def test_the_same_sites_make_the_same_bytes(small_dataset, tmp_path):
    again = write_small(tmp_path / "again")
    assert sorted(file.name for file in again.iterdir()) == sorted(file.name for file in small_dataset.iterdir())
    for file in again.iterdir():
        assert file.read_bytes() == (small_dataset / file.name).read_bytes()


def test_full_shards_end_and_all_are_read_as_one_sequence(tmp_path):
    sites = small_sites(5)
    size = 2 * sum(series.pixels.nbytes for series in sites[0].series.values())
    dataset = Dataset.open(write(tmp_path / "many", sites, shard_bytes=size))
    assert [shard.records for shard in dataset.shards["training"]] == [2, 2, 1]
    assert list(dataset.site_names()) == [site.name for site in sites]
    assert len(dataset.records("validation")) == 0
    for read, site in zip(dataset.records("training"), sites, strict=True):
        assert_same(read, site)


def test_records_are_read_by_many_threads_at_once(small_dataset):
    records, sites = Dataset.open(small_dataset).records("training"), small_sites(TRAINING)
    indices = np.random.default_rng(0).integers(TRAINING, size=200).tolist()
    with ThreadPoolExecutor(8) as pool:
        for index, site in zip(indices, pool.map(records.__getitem__, indices), strict=True):
            assert site.name == sites[index].name
            np.testing.assert_array_equal(site.series["landsat"].pixels, sites[index].series["landsat"].pixels)


def test_weights_are_listed_if_any_differs_from_one(tmp_path, small_dataset):
    assert Dataset.open(small_dataset).records("training").weights is None
    first, second, third = small_sites(3)
    sites = [first, replace(second, weight=4), third]
    dataset = Dataset.open(write(tmp_path / "weighted", sites, small_sites(1, first_seed=7), shard_bytes=1))
    assert dataset.records("training").weights.tolist() == [1, 4, 1]
    assert dataset.records("validation").weights is None
    assert [shard.weights for shard in dataset.shards["training"]] == [(), (4.0,), ()]


# --- Writing ---


def test_the_writer_holds_one_record_at_a_time(tmp_path):
    def peak(number: int) -> int:
        tracemalloc.start()
        with DatasetWriter(tmp_path / f"of{number}", SOURCES, shard_bytes=2**20) as writer:
            for seed in range(number):
                writer.add(small_site(seed, f"site{seed}"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(12) < 1.2 * peak(2)


def test_after_an_exception_nothing_is_left(tmp_path):
    def fail() -> None:
        with DatasetWriter(tmp_path / "broken", SOURCES) as writer:
            writer.add(small_site())
            raise KeyError("the next site")

    with pytest.raises(KeyError, match="the next site"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_killed_writer_leaves_no_finished_files_and_can_be_rerun(tmp_path):
    path = tmp_path / "killed"
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, KILLED, path], stdout=subprocess.PIPE, text=True, env=paths) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.kill()
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert list(left.glob("*.array_record"))
    assert "is not a data set: it has no dataset.json" in error_message(Dataset.open, left)
    write_small(path)
    assert len(Dataset.open(path).records("training")) == TRAINING
    assert list(tmp_path.iterdir()) == [path]


def test_existing_folder_is_never_written_into(own_dataset, tmp_path):
    before = (own_dataset / "dataset.json").read_bytes()
    assert f"{own_dataset} exists: give a new folder" in error_message(DatasetWriter, own_dataset, SOURCES)
    (tmp_path / "file").write_text("")
    assert "file exists" in error_message(DatasetWriter, tmp_path / "file", SOURCES)
    assert (own_dataset / "dataset.json").read_bytes() == before


def test_parent_folders_are_created(tmp_path):
    assert len(Dataset.open(write_small(tmp_path / "a" / "b")).records("training")) == TRAINING


def test_dataset_without_training_record_is_refused(tmp_path):
    assert "no training record was written" in error_message(write, tmp_path / "none", [], small_sites(1))
    assert list(tmp_path.iterdir()) == []


def _with(site: Site, name: str, **changes) -> Site:
    return replace(site, series={**site.series, name: replace(site.series[name], **changes)})


SITE = small_sites(1)[0]
RADAR = SITE.series["sentinel1"]
SHORT_TEXT = TextPoints(
    np.zeros(1, int), np.zeros(1, int), np.array([[START_MS, START_MS + 1]]), np.zeros((1, 3), np.float32)
)
WRONG = {
    "source sentinel1: 4 bands and 2 metadata fields, expected ['VV', 'VH', 'HH', 'HV', 'angle']": _with(
        SITE, "sentinel1", pixels=RADAR.pixels[..., :4], valid=RADAR.valid[..., :4]
    ),
    "source sentinel1: 5 bands and 4 metadata fields": _with(
        SITE, "sentinel1", metadata=np.zeros((len(RADAR.time_ms), 4))
    ),
    "source sentinel1: pixels are float64, expected float32 as in the records before": _with(
        SITE, "sentinel1", pixels=RADAR.pixels.astype(np.float64)
    ),
    "sentence embeddings of 3 numbers, expected 8 as before": replace(SITE, text=SHORT_TEXT),
    "it has a source 'cdl', expected only": replace(SITE, series={"cdl": SITE.series["nlcd"]}),
    "it has no source": replace(SITE, series={}),
}


def test_two_sites_of_one_name_are_refused(tmp_path):
    refusal = error_message(write, tmp_path / "twice", [SITE], [SITE])
    assert refusal == "site site0: another site has this name, expected a name of its own"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sentence", WRONG)
def test_refused_site_is_named_and_leaves_no_trace(sentence, tmp_path, small_dataset):
    """The caller may skip a refused site and go on."""
    with DatasetWriter(tmp_path / "rest", SOURCES) as writer:
        for site in small_sites(TRAINING):
            writer.add(site)
            said = error_message(writer.add, replace(WRONG[sentence], name="odd"))
            assert said.startswith("site odd")
            assert sentence in said
        for site in small_sites(VALIDATION, first_seed=10):
            writer.add(site, "validation")
    for file in small_dataset.iterdir():
        assert file.read_bytes() == (tmp_path / "rest" / file.name).read_bytes()


def test_classes_have_any_one_integer_type(tmp_path):
    wide = _with(SITE, "nlcd", pixels=SITE.series["nlcd"].pixels.astype(np.int16))
    assert Dataset.open(write(tmp_path / "wide", [wide])).sources["nlcd"].dtype == "int16"
    assert "source nlcd: pixels are int16, expected uint8" in error_message(
        write, tmp_path / "both", [SITE, replace(wide, name="wide")]
    )
