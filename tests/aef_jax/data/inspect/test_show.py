"""The picture of a training example is complete, and its marks and periods match the batch."""

import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from aef_jax.console.dates import format_period
from aef_jax.data.inspect.show import write_example_png
from aef_jax.data.inspect.timeline import (
    DROPPED,
    EMPTY,
    OVER_BUDGET,
    STUDENT,
    TARGET,
    TEACHER,
    draw_timeline,
    frame_marks,
)
from aef_jax.data.loading.pipeline import HostExamples
from aef_jax.data.loading.training_data import open_examples
from aef_jax.data.sampling.examples import frames_in_period
from aef_jax.data.sampling.targets import encode_period, summary_codes
from aef_jax.data.store.site import Site
from aef_jax.data.store.writer import DatasetWriter
from aef_jax.visualize.frame_colors import color_frames
from configs.config import Config
from configs.encodings.timecode import DAY_MS, timecode
from configs.sources import NLCD, SENTINEL1, SENTINEL2
from tests.support.data.small_site import CONFIG, TEXT_POINTS, schema_of, small_site
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

JITTER: Config = replace(CONFIG, data=replace(CONFIG.data, time_jitter_days=30))
DROPOUT: Config = replace(JITTER, data=replace(JITTER.data, teacher_frame_dropout=True))
NUMBER = 24


def examples_of(config: Config, site: Site | None = None) -> HostExamples:
    site = site or small_site()
    return HostExamples([site], schema_of(config, site), config)


def draw_marks(config: Config, site: Site | None = None):
    """Yield each source of some examples, with its batch, what was drawn and its marks."""
    examples = examples_of(config, site)
    for index in range(NUMBER):
        drawn = examples.draw(index)
        for source in examples.schema.input_sources:
            yield source, drawn.to_batch(), drawn, frame_marks(source, drawn)


def write_dataset(folder: Path) -> Config:
    """Write three sites, the last without Landsat, and return the config of a run on them."""
    last = small_site()
    words = tuple(f"It costs $\\frac{{{number}$: " + "a wood of oaks " * 50 for number in range(TEXT_POINTS))
    sites = [replace(small_site(seed), name=f"site{seed}") for seed in range(2)]
    labels = {"landcover": np.zeros(last.shape, np.uint8), "crops": np.zeros(last.shape, np.uint8)}
    sites = [replace(site, text=replace(site.text, words=words), labels=labels) for site in sites]
    without = {name: series for name, series in last.series.items() if name != "landsat"}
    with DatasetWriter(folder, CONFIG.sources) as writer:
        for site in [*sites, replace(last, name="no landsat", series=without)]:
            writer.add(site)
    return replace(JITTER, data=replace(JITTER.data, path=str(folder)))


@pytest.mark.parametrize("config", [JITTER, DROPOUT], ids=["all", "teacher's dropout"])
def test_marks_match_the_frames_of_the_batch(config):
    for source, batch, _, marks in draw_marks(config):
        frames, student = batch.frames[source.name], batch.student[source.name]
        teachers = [mark.time_ms for mark in marks if mark.status in (STUDENT, TEACHER)]
        students = [mark.time_ms for mark in marks if mark.status is STUDENT]
        assert len(students) == student.present.sum()
        assert len(teachers) == frames.present.sum()
        # times are exact: their codes equal the batch's bit for bit
        codes = timecode(np.array(teachers, np.int64)).astype(np.float32)
        np.testing.assert_array_equal(codes, frames.timecodes[frames.present])
        codes = timecode(np.array(students, np.int64)).astype(np.float32)
        np.testing.assert_array_equal(codes, frames.timecodes[student.index[student.present]])


def test_every_frame_of_the_support_period_has_one_mark():
    for source, _, drawn, marks in draw_marks(DROPOUT):
        series = drawn.tile.series[source.name].between(*drawn.location.support)
        assert [mark.time_ms for mark in marks] == series.time_ms.tolist()
        np.testing.assert_allclose([mark.valid_fraction for mark in marks], series.valid.any(axis=-1).mean(axis=(1, 2)))
        assert [mark.status for mark in marks].count(TARGET) == (drawn.sources[source.name].target_index is not None)


def test_each_unused_frame_has_its_reason():
    plain, dropout = (
        Counter((source.name, mark.status) for source, _, _, marks in draw_marks(config) for mark in marks)
        for config in (JITTER, DROPOUT)
    )
    assert plain["sentinel2", OVER_BUDGET] > NUMBER  # 40 frames a year for a budget of 12
    assert plain["landsat", OVER_BUDGET] == 0  # 23, for one of 30
    assert not any(plain[source.name, DROPPED] for source in JITTER.input_sources)
    assert dropout["landsat", DROPPED] > NUMBER
    assert dropout["landsat", OVER_BUDGET] == 0


def test_frame_without_data_differs_from_one_beyond_the_budget():
    site = small_site()
    series = site.series["landsat"]
    pixels, valid = series.pixels.copy(), series.valid.copy()
    pixels[::2], valid[::2] = np.nan, False
    empty = replace(site, series=site.series | {"landsat": replace(series, pixels=pixels, valid=valid)})
    for source, _, drawn, marks in draw_marks(JITTER, empty):
        if source.name == "landsat":
            frames = frames_in_period(source, drawn.tile, drawn.location.support)
            expected = np.isnan(frames.pixels).all(axis=(1, 2, 3))
            assert [mark.status is EMPTY for mark in marks] == expected.tolist()
            assert expected.any()


def test_periods_match_the_batch():
    site = small_site()
    site = replace(site, text=site.text.select_points(np.arange(TEXT_POINTS) < 2))
    examples, texts = examples_of(JITTER, site), 0
    for index in range(NUMBER):
        drawn = examples.draw(index)
        batch = drawn.to_batch()
        np.testing.assert_array_equal(encode_period(drawn.shared_period), batch.shared_period)
        for source in examples.schema.sources:
            target, period = batch.targets[source.name], drawn.sources[source.name].summary_period
            np.testing.assert_array_equal(encode_period(period), target.period)
            if source.is_input:
                series = frames_in_period(source, drawn.tile, drawn.location.support)
                time_ms = int(series.time_ms[drawn.sources[source.name].target_index])
                np.testing.assert_array_equal(summary_codes(source, period, time_ms)[1], target.time_code)
        if drawn.text_point is not None:
            text, texts = drawn.tile.text, texts + 1
            np.testing.assert_array_equal(encode_period(tuple(text.period_ms[drawn.text_point])), batch.text.period)
            np.testing.assert_array_equal(text.sentence[drawn.text_point], batch.text.sentence)
        assert (drawn.text_point is not None) == batch.text.present
    assert 0 < texts < NUMBER


def test_student_has_no_mark_in_the_unseen_half():
    halves = set()
    for _, _, drawn, marks in draw_marks(JITTER):
        if drawn.student_half:
            halves.add(drawn.student_half[0] == drawn.location.support[0])
            seen = [mark.time_ms for mark in marks if mark.status is STUDENT]
            assert all(drawn.student_half[0] <= time_ms < drawn.student_half[1] for time_ms in seen)
    assert halves == {True, False}


def test_bars_are_drawn_at_their_times_in_their_colors():
    examples = examples_of(DROPOUT)
    drawn = examples.draw(2)
    sources = examples.schema.sources
    inputs = {source.name: frame_marks(source, drawn) for source in examples.schema.input_sources}
    figure = Figure(figsize=(14, 8), layout="constrained")
    draw_timeline(figure.subfigures(1, 1), inputs, sources, drawn)

    *rows, periods = figure.axes
    for axis, (name, marks) in zip(rows, inputs.items(), strict=True):
        (bars,) = axis.containers
        assert [bar.get_facecolor()[:3] for bar in bars] == [to_rgb(mark.status.color) for mark in marks]
        middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        np.testing.assert_allclose(middles, [mark.time_ms / DAY_MS for mark in marks], atol=1e-6)
        assert axis.get_ylabel().startswith(name)
    bars = [(bar.patches[0].get_x(), bar.patches[0].get_width()) for bar in periods.containers]
    text = [tuple(drawn.tile.text.period_ms[drawn.text_point].tolist())] if drawn.text_point is not None else []
    expected = [drawn.shared_period, *(drawn.sources[source.name].summary_period for source in sources), *text]
    np.testing.assert_allclose(bars, [(start / DAY_MS, (end - start) / DAY_MS) for start, end in expected], atol=1e-6)


def test_picture_and_description_are_complete(tmp_path):
    config = write_dataset(tmp_path / "data")
    sites = set()
    for index in range(3):
        output = tmp_path / "pictures" / f"{index}.png"
        description = write_example_png(config, index, output)
        sites |= {name for name in ("site0", "site1", "no landsat") if f"site {name}," in description}
        picture = imread(output)
        assert min(picture.shape[:2]) > 1000
        assert len(np.unique(picture[::5, ::5].reshape(-1, picture.shape[-1]), axis=0)) > 500
    assert sites == {"site0", "site1", "no landsat"}
    assert len(list((tmp_path / "pictures").iterdir())) == 3  # no temporary file is left


def test_description_matches_the_example(tmp_path):
    config = write_dataset(tmp_path / "data")
    with_text = 0
    for index in range(3):
        description = write_example_png(config, index, tmp_path / "made.png")
        drawn = open_examples(config).draw(index)
        batch = drawn.to_batch()
        has_labels = "label maps, which training does not read: landcover, crops" in description
        assert has_labels == (drawn.tile.name != "no landsat")
        assert f"support period {format_period(drawn.location.support)}" in description
        assert f"compared over {format_period(drawn.shared_period)}" in description
        for name, student in batch.student.items():
            (line,) = (line for line in description.splitlines() if line.startswith(f"{name}: "))
            assert (f"{student.present.sum()} teacher and student" in line) == bool(student.present.any())
        if batch.text.present:
            with_text += 1
            row, column = batch.text.pixel
            assert f"text at row {row}, column {column}" in description
    assert with_text


def test_index_of_no_example_is_refused(tmp_path):
    config = write_dataset(tmp_path / "data")
    last = config.training.steps * config.training.batch - 1
    for index in (-1, last + 1):
        message = error_message(write_example_png, config, index, tmp_path / "made.png")
        assert f"example {index}" in message
        assert f"from 0 to {last}" in message
    write_example_png(config, last, tmp_path / "made.png")


def test_the_sample_can_be_shown(tmp_path):
    if importlib.util.find_spec("nrt") is None or importlib.util.find_spec("xarray") is None:
        pytest.skip("the sample cube is not installed: pip install aef[sample]")
    config = replace(CONFIG, sources=(replace(SENTINEL2, frame_budget=12),))
    assert "site romania" in write_example_png(config, 1, tmp_path / "sample.png")
    assert imread(tmp_path / "sample.png").std() > 0.1


def test_thumbnail_shows_first_band_with_data_classes_or_gray():
    schema = schema_of()
    radar = np.random.default_rng(0).standard_normal((2, 8, 8, 5)).astype(np.float32)
    shown = np.zeros(radar.shape, bool)
    shown[..., [1, 4]] = True
    picture, label = color_frames(SENTINEL1, radar, shown, schema.normalization)
    assert label == "VH"
    assert np.corrcoef(picture[..., 0].ravel(), radar[..., 1].ravel())[0, 1] > 0.95
    flat, label = color_frames(SENTINEL1, np.ones_like(radar), np.ones_like(shown), schema.normalization)
    assert label == "VV, flat"
    assert (flat == 0.6).all()
    classes = np.arange(64).reshape(1, 8, 8) % 3
    picture, label = color_frames(NLCD, classes, np.ones((1, 8, 8, 1), bool), schema.normalization)
    assert label == "3 classes"
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 3
