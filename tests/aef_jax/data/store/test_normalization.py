"""Bands are scaled, z-scored over valid training pixels and clipped; pixels without a number become the mean."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import normalization_of
from configs.fields.statistics import CLIP_SIGMA, scale
from configs.source import Band
from configs.sources import NLCD, SENTINEL1, SENTINEL2
from tests.support.refusals import error_message


def _site(pixels: np.ndarray, valid: np.ndarray | None = None, source=SENTINEL2) -> Site:
    pixels = pixels.astype(np.float32) if pixels.dtype == np.float64 else pixels
    valid = np.isfinite(pixels) if valid is None else valid
    metadata = np.zeros((len(pixels), source.metadata_width), np.float32)
    series = Series(pixels, valid, np.arange(len(pixels), dtype=np.int64), metadata)
    return Site("made", {source.name: series}, "EPSG:32631", (10, 0, 0, 0, -10, 0))


def _reflectance(frames: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1_000, 8_000, (frames, 8, 8, 5))


@pytest.mark.parametrize(
    ("scaling", "stored", "scaled"),
    [
        ("none", [3.0, -2.0], [3.0, -2.0]),
        ("log1p", [0.0, np.e - 1, -2.0], [0.0, 1.0, np.nan]),
        ("radians", [180.0, -90.0], [np.pi, -np.pi / 2]),
        ("palsar_decibel", [1.0, 10_000.0, 0.0], [-83.0, -3.0, -np.inf]),
    ],
)
def test_scalings_match_the_paper(scaling, stored, scaled):
    np.testing.assert_allclose(scale(Band("band", "1", scaling=scaling), np.array(stored)), scaled)


def test_statistics_are_of_valid_pixels_only():
    pixels = _reflectance()
    valid = np.random.default_rng(1).random(pixels.shape) < 0.5
    spoilt = np.where(valid, pixels, 1e6)
    computed = normalization_of([_site(spoilt, valid)], (SENTINEL2,))
    logarithm = np.log1p(pixels.astype(np.float32))
    for band in range(5):
        values = logarithm[..., band][valid[..., band]].astype(np.float64)
        assert computed.mean["sentinel2"][band] == pytest.approx(values.mean(), rel=1e-6)
        assert computed.deviation["sentinel2"][band] == pytest.approx(values.std(), rel=1e-6)


def test_scores_have_mean_0_and_deviation_1_and_float32():
    site = _site(_reflectance())
    series = normalization_of([site], (SENTINEL2,)).apply(site, (SENTINEL2,)).series["sentinel2"]
    np.testing.assert_allclose(series.pixels.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(series.pixels.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert series.pixels.dtype == np.float32


def test_scores_clip_at_six_sigma_and_nan_is_an_invalid_mean():
    pixels = _reflectance()
    normalization = normalization_of([_site(pixels)], (SENTINEL2,))
    pixels[0, 0, 0] = [1e30, 0, np.nan, -5, np.inf]
    applied = normalization.apply(_site(pixels, np.ones(pixels.shape, bool)), (SENTINEL2,)).series["sentinel2"]
    np.testing.assert_array_equal(applied.pixels[0, 0, 0], [CLIP_SIGMA, -CLIP_SIGMA, 0, 0, 0])
    np.testing.assert_array_equal(applied.valid[0, 0, 0], [False, True, False, False, False])  # 1e30 is out of range
    assert applied.valid[1:].all()


def test_invalid_pixels_stay_invalid_and_keep_their_score():
    pixels = _reflectance()
    valid = np.ones(pixels.shape, bool)
    valid[1] = False
    site = _site(pixels, valid)
    applied = normalization_of([site], (SENTINEL2,)).apply(site, (SENTINEL2,)).series["sentinel2"]
    assert not applied.valid[1].any()
    assert applied.pixels[1].any(), "inputs are not masked"


def test_radar_out_of_range_or_absent_polarization_is_no_data():
    generator = np.random.default_rng(0)
    pixels = np.concatenate([generator.uniform(-25, 5, (3, 8, 8, 4)), generator.uniform(30, 45, (3, 8, 8, 1))], axis=-1)
    pixels[..., 2:4] = np.nan  # scenes over land have neither HH nor HV
    pixels[0, 0, 0, :2] = [-31, 11]
    site = _site(pixels, source=SENTINEL1)
    normalization = normalization_of([site], (SENTINEL1,))
    assert np.isnan(normalization.mean["sentinel1"]).tolist() == [False, False, True, True, False]
    applied = normalization.apply(site, (SENTINEL1,)).series["sentinel1"]
    assert applied.valid[0, 0, 0].tolist() == [False, False, False, False, True]
    assert not applied.pixels[..., 2:4].any()

    polar = pixels.copy()
    polar[..., 2:4] = -10
    seen_first_now = normalization.apply(_site(polar, source=SENTINEL1), (SENTINEL1,)).series["sentinel1"]
    assert not seen_first_now.pixels[..., 2:4].any()
    assert not seen_first_now.valid[..., 2:4].any()


def test_a_constant_band_does_not_divide_by_zero():
    pixels = _reflectance()
    pixels[..., 2] = 500
    site = _site(pixels)
    applied = normalization_of([site], (SENTINEL2,)).apply(site, (SENTINEL2,)).series["sentinel2"]
    assert np.isfinite(applied.pixels).all()
    assert np.abs(applied.pixels[..., 2]).max() < 1
    assert (applied.pixels[..., 2] != 0).all(), "0 is for no data"


def test_classes_pass_through_and_an_absent_class_is_invalid():
    classes = np.array([1.0, 15.0, np.nan]).reshape(1, 1, 3, 1)
    site = _site(classes, np.ones(classes.shape, bool), source=NLCD)
    normalization = normalization_of([site], (NLCD,))
    assert normalization.mean == {}
    applied = normalization.apply(site, (NLCD,)).series["nlcd"]
    assert applied.pixels.ravel().tolist() == [1, 15, 0]
    assert applied.valid.ravel().tolist() == [True, True, False]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_no_data_of_any_dtype_becomes_the_mean_and_invalid(dtype):
    pixels = _reflectance().astype(dtype)
    pixels[0, 0, 0] = [0, 0, 5000, 0, 5000]
    site = _site(pixels)
    series = Series(pixels, np.ones((4, 8, 8, 1), bool), np.arange(4), np.zeros((4, 0)), no_data=0)
    stored = replace(site, series={"sentinel2": series})
    applied = normalization_of([stored], (SENTINEL2,)).apply(stored, (SENTINEL2,)).series["sentinel2"]
    assert applied.pixels.dtype == np.float32
    assert applied.no_data is None
    assert (applied.pixels[0, 0, 0] == 0).tolist() == [True, True, False, True, False]
    assert applied.valid[0, 0, 0].tolist() == [False, False, True, False, True]
    assert applied.valid.sum() == applied.valid.size - 3, "one mask for all bands became one for each"


def test_integer_classes_have_a_no_data_value():
    classes = np.array([0, 7, 255], np.uint8).reshape(1, 1, 3, 1)
    series = Series(classes, np.ones((1, 1, 3, 1), bool), np.arange(1), np.zeros((1, 0)), no_data=7)
    applied = Normalization({}, {}).z_score(series, NLCD)
    assert applied.pixels.ravel().tolist() == [0, 0, 0]
    assert applied.valid.ravel().tolist() == [True, False, False]


def test_other_sources_are_left_out():
    site = _site(_reflectance())
    assert normalization_of([site], (SENTINEL1,)).mean == {}
    assert Normalization({}, {}).apply(site, (SENTINEL1,)).series == {}


def test_statistics_are_saved_and_read_exactly(tmp_path):
    path = tmp_path / "deep" / "normalization.json"
    mean = np.array([1 / 3, np.nan, 1e-300, -0.1, 7.0])
    Normalization({"sentinel2": mean}, {"sentinel2": mean + 2}).save(path)
    loaded = Normalization.load(path)
    np.testing.assert_array_equal(loaded.mean["sentinel2"], mean)
    np.testing.assert_array_equal(loaded.deviation["sentinel2"], mean + 2)
    assert "NaN" not in path.read_text(), "strict JSON"
    assert [file.name for file in path.parent.iterdir()] == ["normalization.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        json.dumps({"sentinel2": {"mean": [1]}}),
        '{"a": {"mean": "x", "deviation": []}}',
        "[" * 10**5,
        '{"a": {"mean": [1, 2], "deviation": [1]}}',
        '{"a": {"mean": [1], "deviation": [0]}}',
        '{"a": {"mean": [1], "deviation": [-1]}}',
        '{"a": {"mean": [Infinity], "deviation": [1]}}',
    ],
)
def test_invalid_normalization_file_error_names_it(tmp_path, text):
    path = tmp_path / "normalization.json"
    path.write_text(text)
    assert f"{path}: not the normalization of a run" in error_message(Normalization.load, path)


def test_missing_normalization_file_error_names_it(tmp_path):
    assert "missing.json: not the normalization" in error_message(Normalization.load, tmp_path / "missing.json")


def test_data_without_statistics_or_valid_pixels_is_refused():
    site = _site(_reflectance())
    assert "sentinel2: no normalization statistics" in error_message(Normalization({}, {}).apply, site, (SENTINEL2,))
    short = Normalization({"sentinel2": np.zeros(4)}, {"sentinel2": np.ones(4)})
    assert "shape (4,), expected one for each of its 5 bands" in error_message(short.apply, site, (SENTINEL2,))
    nothing = _site(_reflectance(), np.zeros((4, 8, 8, 5), bool))
    assert "sentinel2: no valid pixel in any training site" in error_message(normalization_of, [nothing], (SENTINEL2,))
    unknown = replace(SENTINEL2, bands=(Band("B2", "1", scaling="square"), *SENTINEL2.bands[1:]))
    assert "scaling is 'square'" in error_message(normalization_of, [site], (unknown,))
