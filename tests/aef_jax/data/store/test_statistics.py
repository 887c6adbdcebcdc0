"""One streaming pass equals NumPy in float64 with everything in memory."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization, scale_series
from aef_jax.data.store.record import validate_site
from aef_jax.data.store.site import Series, Site
from aef_jax.data.store.statistics import MIN_DEVIATION, Statistics
from configs.source import Band, Source
from configs.sources import NLCD, SENTINEL1, SENTINEL2

PLAIN = Source("plain", "continuous", bands=(Band("one", "1"), Band("two", "1")))


def _site(pixels: np.ndarray, source: Source = PLAIN, valid: np.ndarray | None = None) -> Site:
    frames = len(pixels)
    valid = np.ones((*pixels.shape[:3], 1), bool) if valid is None else valid
    series = Series(pixels, valid, np.arange(frames), np.zeros((frames, len(source.metadata))))
    site = Site("made", {source.name: series}, "EPSG:32631", (10, 0, 0, 0, -10, 0))
    validate_site(site)
    return site


def _of(sites, source: Source = PLAIN) -> Normalization:
    statistics = Statistics((source,))
    for site in sites:
        statistics.add(site)
    return statistics.normalization()


def _sites(number: int, source: Source, seed: int = 0) -> list[Site]:
    """Return sites of several sizes and number types, with clouds, no data and values without a logarithm."""
    rng = np.random.default_rng(seed)
    sites = []
    for _ in range(number):
        shape = (*rng.integers(1, 9, size=3), source.channels)
        pixels = rng.normal(rng.uniform(-20, 2_000), rng.uniform(1, 300), shape).astype(np.float32)
        pixels[rng.random(shape) < 0.1] = np.nan
        site = _site(pixels, source, rng.random(shape) < 0.6)
        sites.append(site)
    return sites


def _at_once(sites: list[Site], source: Source) -> tuple[np.ndarray, np.ndarray]:
    both = [np.stack(scale_series(site.series[source.name], source)).reshape(2, -1, source.channels) for site in sites]
    pixels, valid = np.concatenate(both, axis=1)
    valid = valid.astype(bool)
    bands = [pixels[:, band][valid[:, band]].astype(np.float64) for band in range(source.channels)]
    return np.array([band.mean() for band in bands]), np.array([band.std() for band in bands])


@pytest.mark.parametrize("source", [SENTINEL2, SENTINEL1, PLAIN], ids=lambda source: source.name)
def test_a_streaming_pass_equals_numpy_over_everything(source):
    sites = _sites(30, source)
    if source is SENTINEL1:  # decibels, and an angle
        sites = [_site(s.series["sentinel1"].pixels % 90 - 40, source, s.series["sentinel1"].valid) for s in sites]
    streamed, (mean, deviation) = _of(sites, source), _at_once(sites, source)
    np.testing.assert_allclose(streamed.mean[source.name], mean, rtol=1e-12)
    np.testing.assert_allclose(streamed.deviation[source.name], deviation, rtol=1e-12)


def test_the_order_of_the_sites_does_not_matter():
    sites = _sites(40, SENTINEL2)
    streamed = _of(sites, SENTINEL2)
    for seed in range(5):
        shuffled = [sites[i] for i in np.random.default_rng(seed).permutation(len(sites))]
        again = _of(shuffled, SENTINEL2)
        np.testing.assert_allclose(again.mean["sentinel2"], streamed.mean["sentinel2"], rtol=1e-12)
        np.testing.assert_allclose(again.deviation["sentinel2"], streamed.deviation["sentinel2"], rtol=1e-12)


def test_a_small_deviation_about_a_large_mean_loses_no_digit():
    """Sums of squares, or sums in float32, would give 0 or NaN: the squares are 1e12, their differences 1."""
    rng = np.random.default_rng(0)
    sites = [_site(rng.normal(1e6, 1, (4, 16, 16, 2)).astype(np.float32)) for _ in range(50)]
    streamed, (mean, deviation) = _of(sites), _at_once(sites, PLAIN)
    assert deviation == pytest.approx([1, 1], abs=0.02)
    np.testing.assert_allclose(streamed.mean["plain"], mean, rtol=1e-14)
    np.testing.assert_allclose(streamed.deviation["plain"], deviation, rtol=1e-11)


def test_sites_with_different_means_increase_the_deviation():
    """Merging means alone, without the distance between them, would give 0."""
    sites = [_site(np.full((1, 1, size, 2), value, np.float32)) for value, size in ((0, 1), (6, 2), (9, 3))]
    streamed = _of(sites)
    values = np.array([0, 6, 6, 9, 9, 9])
    np.testing.assert_allclose(streamed.mean["plain"], values.mean(), rtol=1e-14)
    np.testing.assert_allclose(streamed.deviation["plain"], values.std(), rtol=1e-14)


def test_integer_no_data_is_left_out():
    site = _site(np.array([0, 3, 0, 5], np.uint16).reshape(1, 2, 2, 1).repeat(2, axis=-1))
    without = replace(site, series={"plain": replace(site.series["plain"], no_data=0)})
    assert _of([site]).mean["plain"].tolist() == [2, 2]
    assert _of([without]).mean["plain"].tolist() == [4, 4]


def test_bands_and_sources_without_pixels_have_no_statistics():
    pixels = np.ones((1, 2, 2, 2), np.float32)
    half = _site(pixels, valid=np.broadcast_to([True, False], pixels.shape))
    streamed = _of([half, half])
    assert streamed.mean["plain"][0] == 1
    assert streamed.deviation["plain"][0] == MIN_DEVIATION
    assert np.isnan(streamed.mean["plain"][1])
    assert np.isnan(streamed.deviation["plain"][1])
    assert _of([_site(pixels, valid=np.zeros(pixels.shape, bool))]).mean == {}
    assert _of([]).mean == {}


def test_classes_have_no_mean():
    assert _of([_site(np.ones((1, 2, 2, 1), np.uint8), NLCD)], NLCD).mean == {}
