"""Tests of the fields of stored sites: their support periods, reading ahead, and what is scaled."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Series, Site
from aef_jax.inference.site import SitePeriods, choose_supports, embed_site, embed_sites
from configs.fields.embedder import Embedder
from configs.fields.frames import read_period
from configs.fields.periods import default_support
from configs.presets import TINY
from tests.support.refusals import error_message

CONFIG = replace(TINY, data=replace(TINY.data, tile_side=32))
YEAR = read_period(2019)
STATISTICS = Normalization({"sentinel2": np.full(5, 7.0)}, {"sentinel2": np.ones(5)})


def make_site(name: str = "made", side: int = 32) -> Site:
    days = np.array(["2018-06-01", "2019-03-01", "2019-06-01"], "datetime64[ms]")
    pixels = np.random.default_rng(0).integers(500, 2000, (3, side, side, 5)).astype(np.uint16)
    series = Series(pixels, np.ones((3, side, side, 1), bool), days, np.zeros((3, 0)), no_data=0)
    return Site(name, {"sentinel2": series}, "EPSG:32631", (10, 0, 0, 0, -10, 0), support=YEAR)


def mean_direction(frames, periods):
    """The mean frame, in the first five components."""
    present = frames["sentinel2"].present[..., None, None, None]
    means = (frames["sentinel2"].pixels * present).sum(axis=1) / present.sum(axis=1)
    means = np.concatenate([means, np.ones((*means.shape[:-1], 59))], axis=-1)
    return np.repeat(means[:, None], periods.shape[1], axis=1)


EMBEDDER = Embedder(CONFIG, STATISTICS, mean_direction)


def test_support_of_a_site_must_meet_the_valid_period():
    """Row 5 of the users' cases: a field of 2023 was made from the frames of 2022."""
    site = make_site()
    summer = read_period(("2019-06-01", "2019-07-01"))
    assert choose_supports(site, CONFIG, [summer]) == {YEAR: [summer]}
    assert choose_supports(replace(site, support=None), CONFIG, [summer]) == {default_support(summer, CONFIG): [summer]}
    overlapping = read_period(("2018-12-01", "2019-01-02"))
    assert choose_supports(site, CONFIG, [overlapping, summer]) == {YEAR: [overlapping, summer]}
    for period in (("2018-12-01", "2019-01-01"), ("2020-01-01", "2021-01-01")):
        assert f"site made: its support period 2019-01-01..2020-01-01 does not meet the valid period {period[0]}" in (
            error_message(choose_supports, site, CONFIG, [read_period(period)])
        )


def test_only_frames_of_the_support_period_are_scaled(monkeypatch):
    scaled = []
    z_score = Normalization.z_score_pixels

    def counted(self, pixels, source, no_data=None):
        scaled.append(len(pixels))
        return z_score(self, pixels, source, no_data)

    monkeypatch.setattr(Normalization, "z_score_pixels", counted)
    site = make_site()
    field = embed_site(EMBEDDER, site, YEAR)
    assert scaled == [2]
    expected = np.log1p(site.series["sentinel2"].pixels[1:].astype(np.float64)).mean(axis=0) - 7
    np.testing.assert_allclose(field[..., :5] / field[..., 5:6], expected, atol=1e-6)


def test_many_sites_are_embedded_as_one_alone():
    sites = [make_site(f"site{i}", side) for i, side in enumerate((32, 40, 32, 16, 32))]
    supports = {"site1": [], "site3": []}

    def read(site):
        return supports.get(site.name, [SitePeriods(site, [YEAR, read_period(2020)], YEAR)])

    results = list(embed_sites(EMBEDDER, read, sites, batch=2))
    assert [each.site.name for each, _ in results] == ["site0", "site2", "site4"]
    for each, fields in results:
        assert fields.shape == (2, 32, 32, 64)
        np.testing.assert_array_equal(fields[0], embed_site(EMBEDDER, each.site, YEAR))


def test_a_site_without_frames_is_named():
    later = read_period(2030)
    message = (
        "site made: no frame of the input sources ['sentinel2'] in the support period 2030-01-01..2031-01-01; they"
    )
    assert message in error_message(embed_site, EMBEDDER, make_site(), later, later)
    with pytest.raises(ValueError, match="site made"):
        list(embed_sites(EMBEDDER, lambda site: [SitePeriods(site, [later], later)], [make_site()], batch=1))
