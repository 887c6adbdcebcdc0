"""The sample cube has the stated contents and georeference, and is split without overlap."""

import importlib.util

import numpy as np
import pytest

from aef_jax.data.build.sample_cube import _open, _to_10m, load_sample, split_sample
from configs.encodings.timecode import DAY_MS
from tests.support.refusals import error_message

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nrt") is None or importlib.util.find_spec("xarray") is None,
    reason="the sample cube is not installed: pip install aef[sample]",
)


@pytest.fixture(scope="module")
def whole():
    return load_sample()


@pytest.fixture(scope="module")
def split(whole):
    return split_sample(whole)


def test_cube_has_five_bands_140_dates_and_one_square_kilometer(whole):
    series = whole.series["sentinel2"]
    assert series.pixels.shape == series.valid.shape == (140, 100, 100, 5)
    assert series.pixels.dtype == np.float32
    assert series.metadata.shape == (140, 0)
    assert whole.shape == (100, 100)


def test_dates_are_unique_sorted_milliseconds_of_2015_to_2021(whole):
    times = whole.series["sentinel2"].time_ms
    assert times.dtype == np.int64
    assert (np.diff(times) >= DAY_MS).all()
    days = times.astype("datetime64[ms]").astype("datetime64[D]").astype(str)
    assert (days[0], days[-1]) == ("2015-08-01", "2021-01-01")


def test_grid_has_10_m_pixels_in_the_cubes_own_projection(whole):
    a, b, west, d, e, north = whole.transform
    assert (a, b, d, e) == (10, 0, 0, -10)
    coarse = _open("sentinel2_cube_subset_romania_20m.nc")
    # centers of 10 m and of 20 m cells are 5 m and 10 m from the corner that both grids share
    assert (west, north) == (float(coarse.x[0]) - 10, float(coarse.y[0]) + 10)
    number = whole.crs.removeprefix("EPSG:")
    assert coarse.spatial_ref.attrs["spatial_ref"].endswith(f'AUTHORITY["EPSG","{number}"]]')


def test_reflectance_is_physical_and_vegetation_is_bright_in_nir(whole):
    series = whole.series["sentinel2"]
    seen = np.where(series.valid, series.pixels, np.nan)
    medians = np.nanmedian(seen.reshape(-1, 5), axis=0)
    assert (medians > 0).all()
    assert (medians < 10_000).all()
    assert medians[3] > 2 * medians[2], "B8 above B4 over a forest"


def test_pixels_without_data_and_clouds_are_not_valid(whole):
    series = whole.series["sentinel2"]
    assert np.isfinite(series.pixels[series.valid]).all()
    assert 0.3 < series.valid.mean() < 0.9
    assert (series.valid.mean(axis=(1, 2, 3)) < 0.1).sum() > 10, "wholly clouded frames"


def test_the_20_m_band_is_bilinearly_resampled_to_the_10_m_grid():
    """A ramp stays that ramp: the center of 20 m cell i is between the centers of the 10 m cells 2i and 2i + 1."""
    rows, columns = np.mgrid[0:6, 0:8].astype(np.float32)
    fine = _to_10m((100 + 40 * rows + 4 * columns)[None])[0]
    fine_rows, fine_columns = (np.mgrid[0:12, 0:16] - 0.5) / 2
    np.testing.assert_allclose(fine[1:-1, 1:-1], (100 + 40 * fine_rows + 4 * fine_columns)[1:-1, 1:-1], rtol=1e-5)


def test_no_data_of_the_20_m_band_leaves_neighbors_unchanged():
    coarse = np.full((1, 6, 6), 700, np.float32)
    coarse[0, 2, 3] = 0
    fine = _to_10m(coarse)[0]
    assert set(np.unique(fine)) <= {np.float32(0), np.float32(700)}
    assert not fine[4:6, 6:8].any()
    assert (fine == 0).sum() == 4


def test_the_20_m_band_correlates_with_10_m_bands(whole):
    """B11 and B4 are strongly correlated over a forest, most of all without a shift between them."""
    series = whole.series["sentinel2"]
    clear = series.valid.all(axis=(1, 2, 3)).nonzero()[0]
    assert len(clear), "a frame without a cloud"
    red, infrared = (np.log(series.pixels[clear][..., band]) for band in (2, 4))

    def correlation(down: int, right: int) -> float:
        here = red[:, 5:-5, 5:-5]
        shifted = infrared[:, 5 + down : 95 + down, 5 + right : 95 + right]
        return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(here, shifted, strict=True)]))

    shifts = {(down, right): correlation(down, right) for down in (-2, 0, 2) for right in (-2, 0, 2)}
    assert max(shifts, key=shifts.__getitem__) == (0, 0)


def test_validation_ground_is_apart_from_training_ground(whole, split):
    west = split.training.transform[2] + 10 * split.training.shape[1]
    assert west + 40 <= split.validation.transform[2]
    assert split.training.transform[2] == whole.transform[2]
    assert split.validation.transform[2] + 10 * split.validation.shape[1] <= whole.transform[2] + 1000
    for part in (split.training, split.validation):
        assert (part.transform[5], part.shape[0]) == (whole.transform[5], 100)


def test_training_has_no_frame_of_an_unseen_date(whole, split):
    training = split.training.series["sentinel2"].time_ms
    assert not np.isin(training, split.unseen_ms).any()
    assert len(training) + len(split.unseen_ms) == 140
    np.testing.assert_array_equal(split.validation.series["sentinel2"].time_ms, whole.series["sentinel2"].time_ms)
    assert np.isin(split.unseen_ms, whole.series["sentinel2"].time_ms).all()


def test_error_without_the_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "install aef[sample]" in error_message(load_sample, error=ModuleNotFoundError)


def test_package_without_a_cube_error_names_the_version_with_it(monkeypatch):
    numpy = importlib.util.find_spec("numpy")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: numpy)
    assert "version 0.2.1 contains" in error_message(load_sample, error=ModuleNotFoundError)
