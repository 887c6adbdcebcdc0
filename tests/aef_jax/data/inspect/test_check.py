"""`aef data check` reads a whole data set, and reports each problem in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.store import writer
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Site
from aef_jax.data.text.rewrite import rewrite
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_dataset import (
    TRAINING,
    VALIDATION,
    change_description,
    only_shard,
    overwrite_shard,
    small_sites,
    write,
)
from tests.support.data.small_site import START_MS

pytestmark = pytest.mark.slow

SITE = small_sites(1)[0]


@pytest.fixture
def checked(capsys):
    """Check a data set, and return the lines that are printed."""

    def run(folder: Path) -> list[str]:
        code = cli.main(["data", "check", str(folder)])
        lines = capsys.readouterr().out.splitlines()
        assert code == (0 if lines == [f"{folder}: nothing wrong"] else 2)
        return lines

    return run


def _with(site: Site, name: str, **changes) -> Site:
    return replace(site, series={**site.series, name: replace(site.series[name], **changes)})


def test_valid_dataset_has_no_problem(own_dataset, checked, capsys):
    assert cli.main(["data", "check", str(own_dataset)]) == 0
    assert f"{TRAINING + VALIDATION}/{TRAINING + VALIDATION}" in capsys.readouterr().err, "a progress bar"
    assert checked(own_dataset) == [f"{own_dataset}: nothing wrong"]


def test_duplicate_names_are_reported(tmp_path, checked):
    first, second = small_sites(2)
    path = write(tmp_path / "twice", [first, second, replace(second, name="a")], [replace(second, name="b")])
    names = {"a": first.name, "b": second.name}  # the writer refuses them; older data sets may have them
    rewrite(Dataset.open(path), lambda _, index, site: replace(site, name=names.get(site.name, site.name)), 8, "")
    assert checked(path) == [
        "training record 2, site site0: it has the name of another: training record 0",
        "validation record 0, site site1: it is in both splits: it is also training record 1",
        f"{path}: 2 problems",
    ]


@pytest.fixture
def unchecked_times(monkeypatch):
    """Write frames that the writer refuses today; data sets of older versions may hold them."""
    monkeypatch.setattr(writer, "validate_times", lambda site, sources: None)


@pytest.mark.usefixtures("unchecked_times")
def test_frames_outside_the_support_period_are_reported(tmp_path, checked):
    times = SITE.series["landsat"].time_ms
    year = replace(SITE, support=(START_MS, START_MS + 365 * DAY_MS))
    path = write(
        tmp_path / "late",
        [
            replace(
                year,
                series={
                    **SITE.between(*year.support).series,
                    "landsat": SITE.series["landsat"],
                    "glo30": SITE.series["glo30"],
                },
            )
        ],
    )
    late = int((times >= START_MS + 365 * DAY_MS).sum())
    (said, _) = checked(path)
    assert said == (
        f"training record 0, site site0, source landsat: {late} of {len(times)} frames, of 2016-01-02..2018-12-25, are"
        " outside of the support period 2016-01-01..2016-12-31"
    )


@pytest.mark.usefixtures("unchecked_times")
def test_support_period_includes_first_and_last_millisecond(tmp_path, checked):
    start = int(np.datetime64("2017-01-01", "ms").astype(np.int64))
    end = int(np.datetime64("2018-01-01", "ms").astype(np.int64))
    series = SITE.series["landsat"].select_frames(slice(0, 3))
    for last, outside in ((end - 1, 0), (end, 1)):
        frames = replace(series, time_ms=np.array([start, start, last]))
        site = replace(SITE, support=(start, end), series={"landsat": frames})
        said = checked(write(tmp_path / f"year{outside}", [site]))
        assert len(said) == 1 + outside
        assert outside == 0 or "1 of 3 frames, of 2017-01-01..2018-01-01, are outside" in said[0]


def test_input_without_a_valid_pixel_is_reported(tmp_path, checked):
    cloudy = _with(SITE, "sentinel2", valid=np.zeros_like(SITE.series["sentinel2"].valid))
    said = checked(write(tmp_path / "cloudy", [*small_sites(1, 5), cloudy]))
    frames = len(SITE.series["sentinel2"].time_ms)
    assert said[0] == f"training record 1, site site0, source sentinel2: none of its {frames} frames has a valid pixel"
    assert len(said) == 2


def test_no_data_marked_valid_is_reported(tmp_path, checked):
    landsat, optical = SITE.series["landsat"], SITE.series["sentinel2"]
    with_nan, with_zero = landsat.pixels.copy(), optical.pixels.copy()
    with_nan[2, 0, 0, 3] = np.nan
    with_zero[:, 0, 0] = 0
    valid = landsat.valid.copy()
    valid[2, 0, 0, 3] = True
    marked = int(optical.valid[:, 0, 0].sum())
    site = _with(_with(SITE, "landsat", pixels=with_nan, valid=valid), "sentinel2", pixels=with_zero)
    said = checked(write(tmp_path / "nan", [site]))
    where = "training record 0, site site0, source"
    assert f"{where} landsat: 1 of {valid.sum()} values that are marked valid hold no data" in said
    assert f"{where} sentinel2: {marked} of {optical.valid.sum()} values that are marked valid hold no data" in said
    assert len(said) == 3


def test_radar_scene_with_one_mask_may_lack_polarizations(tmp_path, checked):
    radar = SITE.series["sentinel1"]
    pixels = radar.pixels.copy()
    pixels[..., 2:4] = np.nan
    site = _with(SITE, "sentinel1", pixels=pixels, valid=radar.valid[..., :1])
    assert len(checked(write(tmp_path / "radar", [site]))) == 1


def test_out_of_range_values_are_reported_from_one_percent(tmp_path, checked):
    radar, classes = SITE.series["sentinel1"], SITE.series["nlcd"]
    for rows, is_reported in ((1, True), (0, False)):
        pixels = radar.pixels.copy()
        pixels[:, :rows, :, 0] = -31
        pixels[(*np.argwhere(radar.valid[..., 0])[-1], 0)] = 11  # a single value is tolerated
        odd = np.where(np.arange(16)[:, None] < 4 * rows, np.uint8(16), classes.pixels[..., 0])[..., None]
        site = _with(_with(SITE, "sentinel1", pixels=pixels), "nlcd", pixels=odd)
        said = checked(write(tmp_path / f"range{rows}", [site, *small_sites(1, 1)]))
        if not is_reported:
            assert len(said) == 1
            continue
        assert len(said) == 3
        valid = np.concatenate([radar.valid[..., 0], small_sites(1, 1)[0].series["sentinel1"].valid[..., 0]])
        share = (radar.valid[:, 0, :, 0].sum() + 1) / valid.sum()
        assert said[1] == (
            f"source sentinel1, band VV: {share:.3%} of the values marked valid are out of range: expected"
            " -30 to 10, in decibel"
        )
        assert said[0].startswith("source nlcd, band landcover: ")
        assert said[0].endswith("expected a class from 0 to 15")


def _statistics(**values):
    return lambda table: table["normalization"]["landsat"].update(values)


def _source(**values):
    return lambda table: table["sources"]["landsat"].update(values)


def _moved(number: str, by: float):
    def change(table) -> None:
        row = table["normalization"]["landsat"]
        row[number][0] += by * row["deviation"][0]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_moved("mean", 2e-6), "source landsat, band B2: its mean in dataset.json is"),
        (_moved("deviation", -2e-6), "source landsat, band B2: its deviation in dataset.json is"),
        (
            _statistics(mean=[None] * 7, deviation=[None] * 7),
            "source landsat, band B2: its mean in dataset.json is nan",
        ),
        (lambda table: table["normalization"].pop("landsat"), "source landsat: dataset.json has no statistics of it"),
        (_source(frames=7), "source landsat: frames: dataset.json says 7, the records hold"),
        (_source(valid_pixels=7), "source landsat: valid_pixels: dataset.json says 7, the records hold"),
        (_source(last_ms=7), "source landsat: last_ms: dataset.json says 7, the records hold"),
        (lambda table: table["text"].update(points=70), "text points: dataset.json says 70, the records hold"),
        (lambda table: table["text"].update(width=9), "sentence embeddings of 8 numbers, dataset.json says 9"),
        (
            lambda table: table["splits"]["training"][0].update(names=["site0", "other", "site2"]),
            "training record 1, site site1: dataset.json calls it other",
        ),
        (
            lambda table: table["splits"]["training"][0].update(weights=[1, 1, 2]),
            "training record 2, site site2: its weight is 1, unlike that in dataset.json",
        ),
        (_source(dtype="float64"), "source landsat: 7 bands of float32, dataset.json says 7 of float64"),
        (
            lambda table: table["sources"].update(gedi=table["sources"]["landsat"]),
            "source gedi: dataset.json lists it, but no record has it",
        ),
    ],
)
def test_description_that_differs_from_the_records_is_reported(own_dataset, checked, change, sentence):
    change_description(own_dataset, change)
    assert any(sentence in line for line in checked(own_dataset))


def test_statistics_may_differ_by_rounding(own_dataset, checked):
    change_description(own_dataset, _moved("mean", 5e-7))
    assert checked(own_dataset) == [f"{own_dataset}: nothing wrong"]


def test_unreadable_record_is_reported_and_the_rest_is_read(own_dataset, checked):
    shard = bytearray(only_shard(own_dataset).read_bytes())
    shard[len(shard) // 4] ^= 1
    overwrite_shard(own_dataset, bytes(shard))
    said = checked(own_dataset)
    assert len(said) == 3
    assert f"{own_dataset}: training record 0: cannot be read" in said[0]
    assert said[1] == "1 of 5 records cannot be read: counts and statistics were not compared"
