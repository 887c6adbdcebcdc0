"""The error of a broken data set is one sentence that names the file or the record."""

import os

import numpy as np
import pytest

from aef_jax.data.store.dataset import Dataset
from tests.support.data.small_dataset import (
    TRAINING,
    assert_same,
    change_description,
    only_shard,
    overwrite_shard,
    small_sites,
    write,
    write_small,
)
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow


def test_folder_without_description_is_refused(tmp_path):
    assert f"{tmp_path} is not a data set: it has no dataset.json" in error_message(Dataset.open, tmp_path)
    assert "is not a data set" in error_message(Dataset.open, tmp_path / "missing")
    (tmp_path / "dataset.json").mkdir()
    assert "is not a data set" in error_message(Dataset.open, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"aef-dataset"', "{}", '{"format": "other"}', "[" * 10**5, '{"format": ["aef"]}'],
)
def test_invalid_description_error_names_its_file(own_dataset, text):
    (own_dataset / "dataset.json").write_text(text)
    assert f"{own_dataset / 'dataset.json'}: not the description of a data set" in error_message(
        Dataset.open, own_dataset
    )


def test_description_that_is_not_text_is_refused(own_dataset):
    (own_dataset / "dataset.json").write_bytes(b"\xff\xfe\x00")
    assert "dataset.json: not the description of a data set" in error_message(Dataset.open, own_dataset)


@pytest.mark.parametrize("version", [0, 5, "1", None])
def test_another_version_is_refused(own_dataset, version):
    change_description(own_dataset, lambda table: table.update(version=version))
    assert f"format version {version!r}, expected one of (1, 2, 3, 4)" in error_message(Dataset.open, own_dataset)


def _shard(**values):
    return lambda table: table["splits"]["training"][0].update(values)


def _source(**values):
    return lambda table: table["sources"]["landsat"].update(values)


HOSTILE = {
    "no sources": lambda table: table.pop("sources"),
    "sources in a list": lambda table: table.update(sources=[1]),
    "a source in a list": lambda table: table["sources"].update(landsat=[1]),
    "an unknown field": _source(color="red"),
    "bands of numbers": _source(bands=[1, 2]),
    "no bands": _source(bands=[]),
    "a number type of no imagery": _source(dtype="object"),
    "frames of text": _source(frames="69"),
    "frames below 0": _source(frames=-1),
    "a time with a fraction": _source(first_ms=0.5),
    "a time of truth": _source(first_ms=True),
    "bands in a text": _source(bands="abcdefg"),
    "no splits": lambda table: table.pop("splits"),
    "a split too few": lambda table: table["splits"].pop("validation"),
    "a split that is a number": lambda table: table["splits"].update(training=3),
    "a shard without a name": lambda table: table["splits"]["training"][0].pop("file"),
    "a shard in another folder": _shard(file="../other/training-00000.array_record"),
    "a shard of an absolute path": _shard(file="/etc/passwd"),
    "a shard in a folder below": _shard(file="deep/shard"),
    "a shard of no name": _shard(file=7),
    "records of text": _shard(records="3"),
    "records below 0": _shard(records=-3),
    "records of truth": _shard(records=True),
    "bytes of a fraction": _shard(bytes=0.5),
    "no text": lambda table: table.pop("text"),
    "text points of text": lambda table: table["text"].update(points="many"),
    "a width of infinity": lambda table: table["text"].update(width=float("inf")),
    "no statistics": lambda table: table.pop("normalization"),
    "statistics in a list": lambda table: table.update(normalization=[1]),
    "statistics of text": lambda table: table["normalization"]["landsat"].update(mean=["x"] * 7),
    "statistics of too few bands": lambda table: table["normalization"]["landsat"].update(mean=[0], deviation=[1]),
    "a mean without end": lambda table: table["normalization"]["landsat"].update(mean=[float("inf")] * 7),
    "a deviation of 0": lambda table: table["normalization"]["landsat"].update(deviation=[0] * 7),
    "statistics of no source": lambda table: table["normalization"].update(other={"mean": [0], "deviation": [1]}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_inconsistent_description_error_names_its_file(own_dataset, what):
    change_description(own_dataset, HOSTILE[what])
    assert f"{own_dataset / 'dataset.json'}: not the description of a data set" in error_message(
        Dataset.open, own_dataset
    )


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_folder_named_as_a_shard_is_refused(own_dataset, name):
    change_description(own_dataset, _shard(file=name))
    said = error_message(Dataset.open, own_dataset)
    assert "a shard of the data set is missing" in said or "is not the name of a file" in said


def test_missing_or_truncated_shard_error_names_it(own_dataset):
    shard = only_shard(own_dataset)
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert f"{shard}: {len(whole) - 1} bytes, expected {len(whole)}: it was cut short or overwritten" in error_message(
        Dataset.open, own_dataset
    )
    shard.unlink()
    assert f"{shard}: a shard of the data set is missing" in error_message(Dataset.open, own_dataset)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[: -(2**16)],
        lambda whole: bytes(len(whole)),
        lambda whole: b"no shard",
    ],
    ids=["half of it", "without its index", "zeros", "a short text"],
)
def test_broken_shard_error_names_it(own_dataset, damage):
    overwrite_shard(own_dataset, damage(only_shard(own_dataset).read_bytes()))
    said = error_message(Dataset.open(own_dataset).records, "training")
    assert f"{only_shard(own_dataset)}: the shard cannot be read" in said


def test_broken_shard_among_many_is_the_one_named(tmp_path):
    path = write(tmp_path / "many", small_sites(3), shard_bytes=1)
    second = path / "training-00001.array_record"
    second.write_bytes(bytes(second.stat().st_size))
    assert str(second) in error_message(Dataset.open(path).records, "training")


def test_wrong_number_of_records_in_shards_is_refused(own_dataset):
    change_description(own_dataset, _shard(records=9, names=[]))
    assert f"the training shards hold {TRAINING} records, expected 9" in error_message(
        Dataset.open(own_dataset).records, "training"
    )


def test_flipped_bits_are_reported_by_record_or_change_nothing(own_dataset):
    shard, sites = only_shard(own_dataset), small_sites(TRAINING)
    whole = shard.read_bytes()
    rng, reported = np.random.default_rng(0), set()
    inside = np.flatnonzero(np.frombuffer(whole, np.uint8))  # not the zeros that pad the shard's end
    for position in [*inside[:20], *inside[-20:], *rng.choice(inside, 60)]:
        changed = bytearray(whole)
        changed[position] ^= 1 << int(rng.integers(8))
        shard.write_bytes(changed)
        try:
            records = Dataset.open(own_dataset).records("training")
        except ValueError:
            reported.add("shard")
            continue
        for index, site in enumerate(sites):
            try:
                read = records[index]
            except ValueError:
                assert f"{own_dataset}: training record {index}: cannot be read" in error_message(
                    records.__getitem__, index
                )
                reported.add(index)
            else:
                assert_same(read, site)
    assert reported == {"shard", *range(TRAINING)}


def test_record_of_another_format_error_has_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr("aef_jax.data.store.writer.encode", lambda site: b"PK\x03\x04 something else")
    records = Dataset.open(write_small(tmp_path / "odd")).records("validation")
    assert "validation record 1: not a record of a site" in error_message(records.__getitem__, 1)


def test_a_shard_that_leads_out_of_the_folder_is_refused(own_dataset, tmp_path):
    """Issue 19, hostile input: a link, a pipe or a device in the place of a shard."""
    shard = only_shard(own_dataset)
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    assert f"{shard} is a link to {tmp_path / 'elsewhere'}" in error_message(Dataset.open, own_dataset)
    shard.unlink()
    os.mkfifo(shard)
    assert f"{shard}: a shard of the data set is missing" in error_message(Dataset.open, own_dataset)


@pytest.mark.parametrize("depth", [40, 5_000])
def test_a_deep_description_is_refused(own_dataset, depth):
    change_description(own_dataset, lambda table: table.update(deep=0))
    text = (own_dataset / "dataset.json").read_text()
    (own_dataset / "dataset.json").write_text(text.replace('"deep": 0', f'"deep": {"[" * depth + "]" * depth}'))
    assert "dataset.json: not the description of a data set" in error_message(Dataset.open, own_dataset)
