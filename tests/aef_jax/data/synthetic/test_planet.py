"""The procedural planet: all sources, as their products store them; the same site every time; its truth can be seen."""

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
PLAUSIBLE = {  # of valid pixels, before scaling: band by band where bands differ
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


def seen(series: Series) -> np.ndarray:
    """Pixels in float32, NaN where there is no data."""
    pixels = series.pixels.astype(np.float32)
    return pixels if series.no_data is None else np.where(pixels == series.no_data, np.nan, pixels)


def test_a_site_has_the_same_bits_every_time():
    first, again = planet(3), planet_site(SEED, 3, SIDE)
    for name, series in first.site.series.items():
        for field in ("pixels", "valid", "time_ms", "metadata"):
            ours, theirs = (np.ascontiguousarray(getattr(s, field)) for s in (series, again.site.series[name]))
            assert ours.tobytes() == theirs.tobytes(), (name, field)
    np.testing.assert_array_equal(first.landcover, again.landcover)
    assert first.texts == again.texts


@pytest.mark.parametrize("other", [(SEED, 4), (SEED + 1, 3)])
def test_other_sites_and_other_planets_are_others(other):
    ours, theirs = planet(3), planet_site(other[0], other[1], SIDE)
    assert ours.site.name != theirs.site.name
    assert (ours.landcover != theirs.landcover).any()
    assert ours.site.transform != theirs.site.transform


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


@pytest.mark.parametrize("source", RASTERS, ids=lambda source: source.name)
def test_every_source_is_as_its_product_stores_it(source):
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


@pytest.mark.parametrize("source", RASTERS, ids=lambda source: source.name)
def test_valid_pixels_are_numbers_before_and_after_scaling(source):
    for site in every_site():
        series = site.site.series[source.name]
        pixels, valid = seen(series), series.valid[..., 0]
        for i, band in enumerate(source.bands):
            values = pixels[..., i][valid]
            if source.name == "sentinel1":  # a scene has some of the polarisations
                values = values[np.isfinite(values)]
                assert not len(values) or (values > (-60 if i < 4 else 28)).all()
                assert not len(values) or (values < (25 if i < 4 else 48)).all()
                assert not len(values) or band.name != "VV" or (values < -30).mean() < 0.06
            else:
                low, high = PLAUSIBLE[source.name]
                assert np.isfinite(values).all()
                assert ((values >= low[i]) & (values <= high[i])).all(), (site.site.name, band.name)
            assert np.isfinite(scale(band, values)).all()


def test_optical_sensors_come_back_as_often_as_the_real_ones():
    gaps = {"sentinel2": [], "landsat": []}
    for site in every_site():
        if abs(site.climate.latitude) > 50:  # winters are too dark there
            continue
        for name, every in gaps.items():
            every.append(np.diff(site.site.series[name].time_ms) / DAY_MS)
    often = [np.median(days) for days in gaps["sentinel2"]]
    assert {2.0, 2.5, 3.0, 5.0} >= {round(2 * days) / 2 for days in often}
    assert 0.4 < np.mean(np.array(often) > 4) < 0.9
    np.testing.assert_allclose([np.median(days) for days in gaps["landsat"]], 8, atol=0.01)


def test_radars_come_back_as_often_as_the_real_ones():
    for site in every_site():
        series = site.site.series["sentinel1"]
        for heading in np.unique(series.metadata[:, 0]):
            days = np.diff(series.time_ms[series.metadata[:, 0] == heading]) / DAY_MS
            assert round(float(np.median(days))) in (6, 12)
        assert 3 <= len(site.site.series["palsar2"].time_ms) <= 7


def test_passes_are_at_their_local_time_of_day():
    hours = {"sentinel2": (10, 11.2), "landsat": (9.7, 10.5)}
    for site in every_site():
        for name, (first, last) in hours.items():
            utc = site.site.series[name].time_ms % DAY_MS / DAY_MS * 24
            local = (utc + site.climate.longitude / 15) % 24
            assert ((local > first) & (local < last)).all()


def test_sentinel1_polarizations_are_horizontal_near_the_poles():
    counts = set()
    for site in every_site():
        pixels = site.site.series["sentinel1"].pixels
        there = np.asarray(np.any(np.isfinite(pixels), axis=(1, 2)))
        counts |= set(there[:, :4].sum(1).tolist())
        polar = abs(site.climate.latitude) > 65
        assert there[:, 2 if polar else 0].all()
        assert not there[:, :2].any() if polar else not there[:, 2:4].any()
        assert there[:, 4].all()
    assert counts == {1, 2}


def test_ascending_and_descending_passes_have_their_own_angles():
    series = next(s for s in (p.site.series["sentinel1"] for p in every_site()) if len(np.unique(s.metadata[:, 0])) > 1)
    headings = series.metadata[:, 0]
    angles = [np.nanmedian(series.pixels[headings == heading][..., 4]) for heading in np.unique(headings)]
    assert np.ptp(headings) > 1
    assert np.ptp(angles) > 0.3


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


def test_gedi_sees_trees_above_fields():
    tops = {Cover.CROPLAND: [], Cover.EVERGREEN_FOREST: []}
    for site in every_site():
        series = site.site.series["gedi"]
        for cover, heights in tops.items():
            heights += series.pixels[..., 98][series.valid[..., 0] & (site.landcover == cover)].tolist()
    assert np.median(tops[Cover.EVERGREEN_FOREST]) > np.median(tops[Cover.CROPLAND]) + 5


@pytest.mark.parametrize("name", ["sentinel2", "landsat"])
def test_clouds_are_bright_and_not_valid(name):
    masked = []
    for site in every_site():
        if site.climate.temperature.min() < 5:  # snow is bright too
            continue
        series = site.site.series[name]
        blue, valid = seen(series)[..., 0], series.valid[..., 0]
        there = np.isfinite(blue)
        masked.append((there & ~valid).sum() / there.sum())
        assert np.nanmedian(blue[~valid & there]) > 1.5 * np.nanmedian(blue[valid])
    assert 0.15 < np.mean(masked) < 0.75


def test_some_scenes_end_within_the_site_and_hold_no_data_beyond():
    gaps = 0
    for site in every_site():
        for name in ("sentinel2", "landsat", "sentinel1"):
            series = site.site.series[name]
            beyond = np.isnan(seen(series)).all(-1)
            assert not (beyond & series.valid[..., 0]).any()
            share = np.mean(beyond, axis=(1, 2))
            gaps += np.sum((share > 0) & (share < 1))
    assert gaps > 50


def test_the_forests_frames_show_it():
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
    """Median over some pixels in the site's summer or winter half, without clouds and without snow."""
    series, (start, _) = site.site.series["sentinel2"], site.site.support or (0, 0)
    temperature = site.climate.temperature[((series.time_ms - start) // DAY_MS) % 365]
    chosen = temperature > 13 if warm else temperature < 5
    values = seen(series)[chosen][series.valid[chosen][..., 0] & pixels]
    values = values[values[:, 0] < 2000]
    return float(np.median((values[:, 3] - values[:, 2]) / (values[:, 3] + values[:, 2]))) if len(values) else np.nan


def test_maps_of_the_united_states_end_there_and_match_the_truth():
    inside = [site for site in every_site() if site.climate.in_conus]
    assert 0.15 < len(inside) / SITES < 0.6
    certain = {Cover.WATER: (11, 111), Cover.BARE: (31, 131), Cover.SHRUB: (52, 152)}
    agree = total = 0
    for site in every_site():
        for name in ("nlcd", "cdl"):
            series = site.site.series[name]
            assert series.valid.all() if site.climate.in_conus else not series.valid.any()
        nlcd, cdl = (site.site.series[name].pixels[0, ..., 0] for name in ("nlcd", "cdl"))
        for cover, (ours, theirs) in certain.items():
            pixels = (site.landcover == cover) & site.climate.in_conus
            agree += (np.array(NLCD_CODES)[nlcd[pixels]] == ours).sum() + (cdl[pixels] == theirs).sum()
            total += 2 * pixels.sum()
    assert agree > 0.75 * total  # their pixels are of 30 m
    grown = np.concatenate([site.crop[site.crop > 0] for site in inside])
    coded = np.concatenate([site.site.series["cdl"].pixels[0, ..., 0][site.crop > 0] for site in inside])
    assert (np.array([crop.cdl for crop in CROPS])[grown - 1] == coded).mean() > 0.75


def test_every_class_is_somewhere_and_none_is_everywhere():
    share = np.mean([np.bincount(site.landcover.ravel(), minlength=len(Cover)) / SIDE**2 for site in every_site()], 0)
    assert (share > 0.005).all()
    assert (share < 0.35).all()
    crops = np.unique(np.concatenate([site.crop.ravel() for site in every_site()]))
    assert set(crops) == set(range(len(CROPS) + 1))


def test_crop_is_where_the_land_is_cropped():
    for site in every_site():
        np.testing.assert_array_equal(site.crop > 0, site.landcover == Cover.CROPLAND)


def test_patches_are_larger_than_pixels():
    assert np.mean([(site.landcover[1:] == site.landcover[:-1]).mean() for site in every_site()]) > 0.8


def test_coordinates_agree_with_the_grid():
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
            assert abs(column % 1 - 0.5) < 1e-3  # pixel centres


def test_texts_say_what_is_there():
    for site in every_site():
        assert 3 <= len(site.texts) <= 8
        for text in site.texts:
            assert to_ms(text.start) < to_ms(text.end)
            assert len(text.text.split()) > 4
    told = " ".join(text.text for site in every_site() for text in site.texts)
    assert all(word in told for word in ("water", "field", "deciduous"))
