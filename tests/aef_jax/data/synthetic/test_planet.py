"""Tests of the procedural planet: formats of all sources, reproducibility, and that frames show the truth."""

from functools import cache

import numpy as np
import pytest

from aef_jax.data.store.site import Series, to_ms
from aef_jax.data.synthetic import PlanetSite, planet_site
from aef_jax.data.synthetic.sensors.maps import NLCD_CODES
from aef_jax.data.synthetic.world.legend import CROPS, Cover
from configs.encodings.timecode import DAY_MS
from configs.fields.statistics import scale
from configs.sources import SOURCES

SEED, SIDE, SITES = 7, 32, 40
RASTERS = tuple(source for source in SOURCES if source.kind != "text")
DTYPES = {"sentinel2": np.uint16, "nlcd": np.uint8, "cdl": np.uint8}
PLAUSIBLE = {  # lowest and highest valid pixels of each band, before scaling
    "sentinel2": ([1] * 5, [16_000] * 5),
    "landsat": ([0] * 6 + [210], [1.7] * 6 + [340]),
    "palsar2": ([20, 20, 25], [60_000, 60_000, 55]),
    "era5_land": ([0, 0, 0] + [200] * 6 + [40_000] * 3, [1.5, 0.01, 0.2] + [330] * 6 + [106_000] * 3),
    "gedi": ([-45] * 101, [60] * 101),
    "grace": ([-80], [80]),
    "glo30": ([-10, 0, -1, -1], [6000, 1.4, 1, 1]),
    "nlcd": ([0], [15]),
    "cdl": ([1], [195]),
}


@cache
def planet(index: int) -> PlanetSite:
    return planet_site(SEED, index, SIDE)


def every_site():
    return [planet(index) for index in range(SITES)]


def float_pixels(series: Series) -> np.ndarray:
    """Return the pixels in float32, with NaN for no data."""
    pixels = series.pixels.astype(np.float32)
    return pixels if series.no_data is None else np.where(pixels == series.no_data, np.nan, pixels)


def test_a_site_is_reproducible_to_the_bit():
    first, again = planet(3), planet_site(SEED, 3, SIDE)
    for name, series in first.site.series.items():
        for field in ("pixels", "valid", "time_ms", "metadata"):
            expected, actual = (np.ascontiguousarray(getattr(s, field)) for s in (series, again.site.series[name]))
            assert actual.tobytes() == expected.tobytes(), (name, field)
    np.testing.assert_array_equal(first.landcover, again.landcover)
    assert first.texts == again.texts


@pytest.mark.parametrize("other", [(SEED, 4), (SEED + 1, 3)])
def test_other_indices_and_seeds_give_other_sites(other):
    site, different = planet(3), planet_site(other[0], other[1], SIDE)
    assert site.site.name != different.site.name
    assert (site.landcover != different.landcover).any()
    assert site.site.transform != different.site.transform


@pytest.mark.slow
def test_another_year_keeps_ground_and_changes_passes_and_crops():
    farmed = next(site for site in every_site() if len(np.unique(site.crop)) > 3)
    index = int(farmed.site.name[-5:])
    first, second = (planet_site(SEED, index, SIDE, year) for year in (2018, 2020))
    np.testing.assert_array_equal(first.landcover, second.landcover)
    assert first.site.transform == second.site.transform
    assert (first.crop != second.crop).any()
    assert second.site.support == (to_ms("2020-01-01"), to_ms("2021-01-01"))


def test_a_side_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="side is 8, expected at least 16"):
        planet_site(SEED, 0, 8)


@pytest.mark.slow
@pytest.mark.parametrize("source", RASTERS, ids=lambda source: source.name)
def test_every_source_has_its_products_shapes_and_dtypes(source):
    for site in every_site():
        series, (start, end) = site.site.series[source.name], site.site.support or (0, 0)
        frames = len(series.time_ms)
        assert series.pixels.shape == (frames, SIDE, SIDE, source.channels)
        assert series.pixels.dtype == DTYPES.get(source.name, np.float32)
        assert series.valid.shape == (frames, SIDE, SIDE, 1)
        assert series.valid.dtype == bool
        assert series.time_ms.dtype == np.int64
        assert series.metadata.shape == (frames, len(source.metadata))
        assert (np.diff(series.time_ms) >= 0).all()
        assert ((series.time_ms >= start) & (series.time_ms < end)).all()
        assert frames or source.name == "gedi"


@pytest.mark.slow
@pytest.mark.parametrize("source", RASTERS, ids=lambda source: source.name)
def test_valid_pixels_are_numbers_before_and_after_scaling(source):
    for site in every_site():
        series = site.site.series[source.name]
        pixels, valid = float_pixels(series), series.valid[..., 0]
        for i, band in enumerate(source.bands):
            values = pixels[..., i][valid]
            if source.name == "sentinel1":  # a scene has only some of the polarizations
                values = values[np.isfinite(values)]
                assert not len(values) or (values > (-60 if i < 4 else 28)).all()
                assert not len(values) or (values < (25 if i < 4 else 48)).all()
                assert not len(values) or band.name != "VV" or (values < -30).mean() < 0.06
            else:
                low, high = PLAUSIBLE[source.name]
                assert np.isfinite(values).all()
                assert ((values >= low[i]) & (values <= high[i])).all(), (site.site.name, band.name)
            assert np.isfinite(scale(band, values)).all()


@pytest.mark.slow
def test_optical_revisit_times_are_realistic():
    gaps = {"sentinel2": [], "landsat": []}
    for site in every_site():
        if abs(site.climate.latitude) > 50:  # winters are too dark at high latitudes
            continue
        for name, days in gaps.items():
            days.append(np.diff(site.site.series[name].time_ms) / DAY_MS)
    medians = [np.median(days) for days in gaps["sentinel2"]]
    assert {2.0, 2.5, 3.0, 5.0} >= {round(2 * days) / 2 for days in medians}
    assert 0.4 < np.mean(np.array(medians) > 4) < 0.9
    np.testing.assert_allclose([np.median(days) for days in gaps["landsat"]], 8, atol=0.01)


@pytest.mark.slow
def test_radar_revisit_times_are_realistic():
    for site in every_site():
        series = site.site.series["sentinel1"]
        for heading in np.unique(series.metadata[:, 0]):
            days = np.diff(series.time_ms[series.metadata[:, 0] == heading]) / DAY_MS
            assert round(float(np.median(days))) in (6, 12)
        assert 3 <= len(site.site.series["palsar2"].time_ms) <= 7


@pytest.mark.slow
def test_passes_are_at_their_local_time_of_day():
    hours = {"sentinel2": (10, 11.2), "landsat": (9.7, 10.5)}
    for site in every_site():
        for name, (first, last) in hours.items():
            utc = site.site.series[name].time_ms % DAY_MS / DAY_MS * 24
            local = (utc + site.climate.longitude / 15) % 24
            assert ((local > first) & (local < last)).all()


@pytest.mark.slow
def test_sentinel1_polarizations_are_horizontal_near_the_poles():
    counts = set()
    for site in every_site():
        pixels = site.site.series["sentinel1"].pixels
        has_band = np.asarray(np.any(np.isfinite(pixels), axis=(1, 2)))
        counts |= set(has_band[:, :4].sum(1).tolist())
        polar = abs(site.climate.latitude) > 65
        assert has_band[:, 2 if polar else 0].all()
        assert not has_band[:, :2].any() if polar else not has_band[:, 2:4].any()
        assert has_band[:, 4].all()
    assert counts == {1, 2}


@pytest.mark.slow
def test_ascending_and_descending_passes_have_their_own_angles():
    series = next(s for s in (p.site.series["sentinel1"] for p in every_site()) if len(np.unique(s.metadata[:, 0])) > 1)
    headings = series.metadata[:, 0]
    angles = [np.nanmedian(series.pixels[headings == heading][..., 4]) for heading in np.unique(headings)]
    assert np.ptp(headings) > 1
    assert np.ptp(angles) > 0.3


@pytest.mark.slow
def test_gedi_is_sparse_and_its_heights_rise():
    tracked = [site.site.series["gedi"] for site in every_site() if len(site.site.series["gedi"].time_ms)]
    assert len(tracked) > SITES / 4
    for series in tracked:
        assert series.valid.any((1, 2, 3)).all()
        assert series.valid.mean((1, 2, 3)).max() < 0.1
        shots = series.pixels[series.valid[..., 0]]
        assert (np.diff(shots, axis=-1) >= 0).all()
        assert np.isnan(series.pixels[~series.valid[..., 0]]).all()
    assert all(not len(p.site.series["gedi"].time_ms) for p in every_site() if abs(p.climate.latitude) > 51.6)


@pytest.mark.slow
def test_gedi_sees_trees_above_fields():
    tops = {Cover.CROPLAND: [], Cover.EVERGREEN_FOREST: []}
    for site in every_site():
        series = site.site.series["gedi"]
        for cover, heights in tops.items():
            heights += series.pixels[..., 98][series.valid[..., 0] & (site.landcover == cover)].tolist()
    assert np.median(tops[Cover.EVERGREEN_FOREST]) > np.median(tops[Cover.CROPLAND]) + 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentinel2", "landsat"])
def test_clouds_are_bright_and_not_valid(name):
    masked = []
    for site in every_site():
        if site.climate.temperature.min() < 5:  # snow is bright too
            continue
        series = site.site.series[name]
        blue, valid = float_pixels(series)[..., 0], series.valid[..., 0]
        has_data = np.isfinite(blue)
        masked.append((has_data & ~valid).sum() / has_data.sum())
        assert np.nanmedian(blue[~valid & has_data]) > 1.5 * np.nanmedian(blue[valid])
    assert 0.15 < np.mean(masked) < 0.75


@pytest.mark.slow
def test_swaths_may_end_within_the_site_without_data_beyond():
    gaps = 0
    for site in every_site():
        for name in ("sentinel2", "landsat", "sentinel1"):
            series = site.site.series[name]
            beyond = np.isnan(float_pixels(series)).all(-1)
            assert not (beyond & series.valid[..., 0]).any()
            share = np.mean(beyond, axis=(1, 2))
            gaps += np.sum((share > 0) & (share < 1))
    assert gaps > 50


@pytest.mark.slow
def test_frames_show_the_seasons_of_deciduous_forests():
    change = {Cover.DECIDUOUS_FOREST: [], Cover.EVERGREEN_FOREST: []}
    for site in every_site():
        coldest, warmest = site.climate.temperature.min(), site.climate.temperature.max()
        if not (coldest < 4 and warmest > 14):
            continue
        for cover, differences in change.items():
            pixels = site.landcover == cover
            if pixels.sum() > 30:
                differences.append(ndvi(site, pixels, warm=True) - ndvi(site, pixels, warm=False))
    assert len(change[Cover.DECIDUOUS_FOREST]) > 5
    assert np.nanmedian(change[Cover.DECIDUOUS_FOREST]) > 0.25
    assert np.nanmedian(change[Cover.EVERGREEN_FOREST]) < np.nanmedian(change[Cover.DECIDUOUS_FOREST]) - 0.1


def ndvi(site: PlanetSite, pixels: np.ndarray, warm: bool) -> float:
    """Return the median NDVI of some pixels in the site's summer or winter, without clouds and snow."""
    series, (start, _) = site.site.series["sentinel2"], site.site.support or (0, 0)
    temperature = site.climate.temperature[((series.time_ms - start) // DAY_MS) % 365]
    in_season = temperature > 13 if warm else temperature < 5
    values = float_pixels(series)[in_season][series.valid[in_season][..., 0] & pixels]
    values = values[values[:, 0] < 2000]
    return float(np.median((values[:, 3] - values[:, 2]) / (values[:, 3] + values[:, 2]))) if len(values) else np.nan


@pytest.mark.slow
def test_us_maps_match_the_truth_and_are_invalid_elsewhere():
    inside = [site for site in every_site() if site.climate.in_conus]
    assert 0.15 < len(inside) / SITES < 0.6
    certain = {Cover.WATER: (11, 111), Cover.BARE: (31, 131), Cover.SHRUB: (52, 152)}
    agree = total = 0
    for site in every_site():
        for name in ("nlcd", "cdl"):
            series = site.site.series[name]
            assert series.valid.all() if site.climate.in_conus else not series.valid.any()
        nlcd, cdl = (site.site.series[name].pixels[0, ..., 0] for name in ("nlcd", "cdl"))
        for cover, (nlcd_code, cdl_code) in certain.items():
            pixels = (site.landcover == cover) & site.climate.in_conus
            agree += (np.array(NLCD_CODES)[nlcd[pixels]] == nlcd_code).sum() + (cdl[pixels] == cdl_code).sum()
            total += 2 * pixels.sum()
    assert agree > 0.75 * total  # the maps have pixels of 30 m
    grown = np.concatenate([site.crop[site.crop > 0] for site in inside])
    coded = np.concatenate([site.site.series["cdl"].pixels[0, ..., 0][site.crop > 0] for site in inside])
    assert (np.array([crop.cdl for crop in CROPS])[grown - 1] == coded).mean() > 0.75


@pytest.mark.slow
def test_every_class_occurs_and_none_dominates():
    share = np.mean([np.bincount(site.landcover.ravel(), minlength=len(Cover)) / SIDE**2 for site in every_site()], 0)
    assert (share > 0.005).all()
    assert (share < 0.35).all()
    crops = np.unique(np.concatenate([site.crop.ravel() for site in every_site()]))
    assert set(crops) == set(range(len(CROPS) + 1))


@pytest.mark.slow
def test_crops_grow_exactly_on_cropland():
    for site in every_site():
        np.testing.assert_array_equal(site.crop > 0, site.landcover == Cover.CROPLAND)


@pytest.mark.slow
def test_patches_are_larger_than_pixels():
    assert np.mean([(site.landcover[1:] == site.landcover[:-1]).mean() for site in every_site()]) > 0.8


@pytest.mark.slow
def test_text_coordinates_agree_with_the_grid():
    pyproj = pytest.importorskip("pyproj")
    for site in every_site()[:12]:
        a, _, west, _, e, north = site.site.transform
        to_wgs84 = pyproj.Transformer.from_crs(site.site.crs, "EPSG:4326", always_xy=True)
        longitude, latitude = to_wgs84.transform(west + a * SIDE / 2, north + e * SIDE / 2)
        assert abs(longitude - site.climate.longitude) < 0.05
        assert abs(latitude - site.climate.latitude) < 0.05
        to_grid = pyproj.Transformer.from_crs("EPSG:4326", site.site.crs, always_xy=True)
        for text in site.texts:
            x, y = to_grid.transform(text.longitude, text.latitude)
            column, row = (x - west) / a, (y - north) / e
            assert 0 <= column < SIDE
            assert 0 <= row < SIDE
            assert abs(column % 1 - 0.5) < 1e-3  # pixel centers


@pytest.mark.slow
def test_texts_describe_the_land_cover():
    for site in every_site():
        assert 3 <= len(site.texts) <= 8
        for text in site.texts:
            assert to_ms(text.start) < to_ms(text.end)
            assert len(text.text.split()) > 4
    texts = " ".join(text.text for site in every_site() for text in site.texts)
    assert all(word in texts for word in ("water", "field", "deciduous"))
