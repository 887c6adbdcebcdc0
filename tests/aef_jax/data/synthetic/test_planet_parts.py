"""Tests of the parts of the procedural planet: noise, grid, seasons and ground."""

import numpy as np
import pytest

from aef_jax.data.synthetic.sensors.radar_geometry import LOOKS, speckle
from aef_jax.data.synthetic.world.climate import REGIONS, Climate, climate_at
from aef_jax.data.synthetic.world.grid import MARGIN, resample, resampling_matrix
from aef_jax.data.synthetic.world.ground import draw_ground
from aef_jax.data.synthetic.world.legend import CROPS, Cover
from aef_jax.data.synthetic.world.noise import fractal
from aef_jax.data.synthetic.world.phenology import greenness
from aef_jax.data.synthetic.world.utm import to_degrees


def normals(name: str, latitude: float | None = None) -> Climate:
    """Return the climate in the middle of a region."""
    region = next(region for region in REGIONS if region.name == name)
    latitude = float(np.mean(region.latitude)) if latitude is None else latitude
    return climate_at(region, latitude, float(np.mean(region.longitude)), 200, float(np.mean(region.rain)))


def test_forest_seasons_shift_half_a_year_in_the_south():
    north, south = normals("central Europe", 48), normals("central Europe", -48)
    january, july = 15, 196
    for climate, winter, summer in ((north, january, july), (south, july, january)):
        green = greenness(climate)
        assert green[Cover.DECIDUOUS_FOREST, winter] < 0.1
        assert green[Cover.DECIDUOUS_FOREST, summer] > 0.9
        assert green[Cover.EVERGREEN_FOREST, winter] > 0.8
        assert green[Cover.GRASSLAND, winter] < 0.5 * green[Cover.GRASSLAND, summer]


def test_crops_have_distinct_calendars():
    green = greenness(normals("Great Plains"))[len(Cover) :]
    peaks = {crop.name: int(np.argmax(year)) for crop, year in zip(CROPS, green, strict=True)}
    assert peaks["winter wheat"] + 20 < peaks["maize"] < peaks["cotton"]
    correlation = np.corrcoef(green)
    assert (correlation[~np.eye(len(CROPS), dtype=bool)] < 0.97).all()


@pytest.mark.parametrize(("zone", "south", "east", "north"), [(33, False, 300_000, 5.6e6), (20, True, 700_000, 6.2e6)])
def test_utm_conversion_agrees_with_proj(zone, south, east, north):
    pyproj = pytest.importorskip("pyproj")
    expected = pyproj.Transformer.from_crs((32700 if south else 32600) + zone, 4326, always_xy=True).transform(
        east, north
    )
    actual = to_degrees(np.array(float(east)), np.array(north), zone, south)
    np.testing.assert_allclose(actual, expected, atol=1e-8)


def test_noise_has_deviation_one_and_is_smooth():
    fields = [fractal(np.random.default_rng(i), (40, 56), 12, slope=4) for i in range(30)]
    assert fields[0].shape == (40, 56)
    assert abs(np.std(fields) - 1) < 0.05
    assert np.mean([np.corrcoef(f[:, 1:].ravel(), f[:, :-1].ravel())[0, 1] for f in fields]) > 0.8


def test_speckle_has_its_looks_and_mean_one():
    factor = speckle(np.random.default_rng(0), (400, 400))
    assert abs(factor.mean() - 1) < 0.01
    assert abs(1 / factor.var() - LOOKS) < 0.3
    assert 0.05 < np.corrcoef(factor[:, 1:].ravel(), factor[:, :-1].ravel())[0, 1] < 0.6


def test_resampling_keeps_means_and_applies_the_shift():
    side = 24
    ramp = np.arange(side + 2 * MARGIN, dtype=np.float32)[None] * np.ones((side + 2 * MARGIN, 1), np.float32)
    for cell in (1.0, 1.5, 2.0, 3.0, 10.0):
        matrix = resampling_matrix(side, cell, phase=0.7)
        np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-5)
    same = resample(ramp, resampling_matrix(side), resampling_matrix(side, shift=0.25))
    np.testing.assert_allclose(same[0], MARGIN + np.arange(side) + 0.25, rtol=1e-5)
    coarse = resample(ramp, resampling_matrix(side), resampling_matrix(side, 3.0))
    np.testing.assert_allclose(coarse[0], MARGIN + np.arange(side), atol=1e-4)


def test_rivers_lie_in_valleys():
    climate = normals("central Europe")
    heights = []
    for i in range(20):
        ground = draw_ground(np.random.default_rng(i), np.random.default_rng(i), climate, (76, 76))
        if 50 < ground.terrain.water.sum() < 1500:
            heights.append(ground.terrain.elevation[ground.terrain.water].mean() - ground.terrain.elevation.mean())
    assert len(heights) > 5
    assert np.mean(heights) < -2
