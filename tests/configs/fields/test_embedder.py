"""The embedder tells values and periods that it cannot do right by (rows 5 and 13 of the users' cases)."""

from dataclasses import replace

import numpy as np
import pytest

from configs.fields.embedder import Embedder
from configs.fields.statistics import BandStatistics
from configs.presets import TINY
from configs.sources import SENTINEL2
from tests.support.refusals import error_message

TIMES = np.arange("2022-01-15", "2022-12-15", 30, dtype="datetime64[D]")
STATISTICS = BandStatistics({"sentinel2": np.full(5, 7.0)}, {"sentinel2": np.full(5, 1.0)})  # 65,000 is within 6 sigma


def east(frames, periods) -> np.ndarray:
    """Return the same unit vector for each pixel."""
    batch, _, height, width, _ = frames["sentinel2"].pixels.shape
    return np.broadcast_to(np.eye(TINY.model.embed_dim)[0], (batch, 1, height, width, TINY.model.embed_dim))


EMBEDDER = Embedder(replace(TINY, sources=(SENTINEL2,)), STATISTICS, east)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(700, 1500, (len(TIMES), 32, 32, 5)).astype(np.uint16)


def test_pixel_that_no_frame_shows_is_nan(pixels):
    pixels[:, 3, 4] = 0
    pixels[1:, 5, 6] = 0  # one frame shows it
    field = EMBEDDER.embed({"sentinel2": (pixels, TIMES)}, 2022, no_data={"sentinel2": 0})
    assert np.argwhere(np.isnan(field).any(axis=-1)).tolist() == [[3, 4]]
    assert np.isnan(field[3, 4]).all()
    nothing = np.zeros_like(pixels)
    said = error_message(EMBEDDER.embed, {"sentinel2": (nothing, TIMES)}, 2022, no_data={"sentinel2": 0})
    assert said == "no frame of ['sentinel2'] in the support period holds data, expected some"


def test_extrapolation_is_told_and_interpolation_is_not(pixels, caplog):
    for period in (2022, ("2022-06-01", "2022-06-03"), ("2021-10-01", "2022-02-01")):
        EMBEDDER.embed({"sentinel2": (pixels, TIMES)}, period)
    assert not caplog.records
    for period, days in ((2023, "2023-01-01..2024-01-01"), (("2022-01-01", "2022-01-15"), "2022-01-01..2022-01-15")):
        EMBEDDER.embed({"sentinel2": (pixels, TIMES)}, period, support=2022)
        assert caplog.records[-1].message == (
            f"the valid period {days} lies outside of the frames, of 2022-01-15..2022-12-11: the field is extrapolated"
        )
    assert "no frame of the input sources" in error_message(EMBEDDER.embed, {"sentinel2": (pixels, TIMES)}, 2023)


def test_values_out_of_range_are_told_above_one_percent(pixels, caplog):
    pixels[0, 0, 0] = 65_535
    EMBEDDER.embed({"sentinel2": (pixels, TIMES)}, 2022)
    assert not caplog.records
    wrapped = np.where(pixels < 800, pixels - np.uint16(1000), pixels)
    EMBEDDER.embed({"sentinel2": (wrapped, TIMES)}, 2022)
    assert caplog.records[-1].message == (
        "source sentinel2: 13% of its values lie beyond 6 standard deviations of the training data or out of their"
        " valid range; expected the unit reflectance * 10000"
    )
    wrapped = np.where(pixels < 1200, pixels - np.uint16(2000), pixels)
    said = error_message(EMBEDDER.embed, {"sentinel2": (wrapped, TIMES)}, 2022)
    assert said.startswith("source sentinel2: 63% of its values lie beyond")
    said = error_message(EMBEDDER.embed, {"sentinel2": (pixels / 1e4, TIMES)}, 2022)
    assert said.startswith("source sentinel2: 100% of its values lie beyond")


def test_band_without_statistics_is_missing_not_out_of_range(pixels, caplog):
    mean, deviation = np.full(5, 7.0), np.full(5, 0.5)
    mean[:3] = deviation[:3] = np.nan
    given = []

    def model(frames, periods) -> np.ndarray:
        given.append(frames["sentinel2"])
        return east(frames, periods)

    embedder = replace(EMBEDDER, statistics=BandStatistics({"sentinel2": mean}, {"sentinel2": deviation}), model=model)
    values = pixels.astype(np.float32)
    values[2, ..., 4] = np.nan
    assert np.isfinite(embedder.embed({"sentinel2": (values, TIMES)}, 2022)).all()
    assert not caplog.records
    bands = np.zeros((4, 12, 5), bool)  # 4 tiles, 12 frames
    bands[..., 3:] = True
    bands[:, 2, 4] = False
    np.testing.assert_array_equal(given[0].bands, bands, strict=True)
    np.testing.assert_array_equal(given[0].present, bands.any(axis=-1))
