"""A data set that was appended to is that of one piece; until dataset.json is replaced it is the old one."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aef_jax.data.inspect.check import problems
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.writer import DatasetWriter
from configs.source import Source
from configs.sources import SOURCES
from tests.support.data.small_dataset import as_version_1, assert_same, small_sites, write
from tests.support.data.small_site import CONFIG
from tests.support.paths import PROGRAMS
from tests.support.refusals import error_message

FIRST, SECOND, THIRD, FOURTH = small_sites(4)
SPLITS = "training", "validation"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def facts(folder: Path) -> dict:
    """Return what dataset.json says beside the names and sizes of shards."""
    table = Dataset.open(folder).as_table()
    return {name: value for name, value in table.items() if name != "splits"}


def without_elevation(site):
    return replace(site, series={name: series for name, series in site.series.items() if name != "glo30"})


@pytest.fixture
def begun(tmp_path) -> Path:
    """A data set without one of the sources that is added later."""
    return write(tmp_path / "begun", [without_elevation(FIRST)], [without_elevation(SECOND)])


def test_records_and_statistics_are_those_of_one_piece(tmp_path, begun):
    whole = write(tmp_path / "whole", [without_elevation(FIRST), THIRD], [without_elevation(SECOND), FOURTH])
    reader = Dataset.open(begun).records("training")
    before = names(begun)
    write(begun, [THIRD], append=True)
    write(begun, [], [FOURTH], append=True)
    assert facts(begun) == facts(whole), "to the bit"
    dataset, expected = Dataset.open(begun), Dataset.open(whole)
    for split in SPLITS:
        for site, of_whole in zip(dataset.records(split), expected.records(split), strict=True):
            assert_same(site, of_whole)
    added = {"training-00000.r1.array_record", "validation-00000.r2.array_record"}
    assert names(begun) == before | added
    assert [site.name for site in reader] == ["site0"], "who has opened it goes on with the old one"
    assert list(problems(begun)) == []


def test_nothing_added_changes_nothing(begun):
    before = {path: path.read_bytes() for path in begun.iterdir()}
    write(begun, [], append=True)
    assert {path: path.read_bytes() for path in begun.iterdir()} == before


@pytest.mark.parametrize("at", ["a site", "the end"])
def test_an_interrupted_append_leaves_the_old_data_set(begun, monkeypatch, at):
    before = {path: path.read_bytes() for path in begun.iterdir()}

    def interrupt(*_):
        raise KeyboardInterrupt

    def append_two() -> None:
        with DatasetWriter(begun, CONFIG.decoded_sources, append=True) as writer:
            writer.add(THIRD)
            monkeypatch.setattr(*((DatasetWriter, "add") if at == "a site" else (Dataset, "to_json")), interrupt)
            writer.add(FOURTH)

    with pytest.raises(KeyboardInterrupt):
        append_two()
    assert {path: path.read_bytes() for path in begun.iterdir()} == before


@pytest.mark.slow
def test_a_killed_append_is_cleared_by_the_next(tmp_path, begun):
    """It is killed in the middle, and one more has died between the shards' move and dataset.json."""
    before = facts(begun)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, PROGRAMS / "write_until_killed.py", begun, "append"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
    (begun / "training-00000.r1.array_record").write_bytes(b"moved, and not yet named")
    assert facts(begun) == before
    assert [path.name for path in begun.iterdir() if path.name.startswith(".appended.")]
    write(begun, [THIRD], append=True)
    assert len(Dataset.open(begun).records("training")) == 2
    shards = {"training-00000.array_record", "validation-00000.array_record", "training-00000.r1.array_record"}
    assert names(begun) == {"dataset.json", *shards}


def _other_bands() -> tuple[Source, ...]:
    landsat = next(source for source in SOURCES if source.name == "landsat")
    return (replace(landsat, bands=landsat.bands[1:]),)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sources": _other_bands()}, "source landsat has other bands or metadata than what is added"),
        (
            {"levels": {"sentinel2": "L1C"}},
            "source sentinel2 has the processing level unknown, and what is added L1C, expected one level, or",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_once(begun, options, sentence):
    assert f"{begun}: {sentence}" in error_message(write, begun, [THIRD], append=True, **options)


def test_mixed_levels_are_named(begun):
    write(begun, [THIRD], append=True, levels={"sentinel2": "L1C"}, mixed_levels=True)
    assert Dataset.open(begun).levels == {"sentinel2": "L1C, unknown"}


def test_a_name_of_the_data_set_is_refused(begun):
    assert error_message(write, begun, [SECOND], append=True).startswith("site site1: another site has this name")


def test_an_older_version_is_merged_first(tmp_path):
    old = as_version_1(write(tmp_path / "old", [FIRST], [SECOND]))
    assert "aef data merge NEW OLD writes it anew" in error_message(write, old, [THIRD], append=True)


def test_two_appends_at_once_do_not_lose_records(begun):
    def append_beside_another() -> None:
        with DatasetWriter(begun, CONFIG.decoded_sources, append=True) as writer:
            writer.add(FOURTH)
            write(begun, [THIRD], append=True)

    assert "another process has changed the data set meanwhile" in error_message(append_beside_another)
    assert [site.name for site in Dataset.open(begun).records("training")] == ["site0", "site2"]
