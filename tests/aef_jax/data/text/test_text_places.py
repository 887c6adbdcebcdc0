"""Points of a table are assigned to records and to their pixels."""

from dataclasses import replace
from pathlib import Path

import pytest

from aef_jax.data.store.site import Site
from aef_jax.data.text.add_text import ProjectedTable
from aef_jax.data.text.table import read_table
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import START_MS
from tests.support.data.small_texts import NORTH, SOUTH, WHOLE_YEAR, a_table, degrees, site_at, write_table
from tests.support.refusals import error_message

pytest.importorskip("pyproj", reason="pyproj is not installed: pip install aef[text]")


def texts_inside(path: Path, site: Site, *points: tuple[float, float], dates: tuple[str, str] = WHOLE_YEAR) -> list:
    """Return index, row and column of the points inside the site."""
    table = read_table(write_table(path / "inside.csv", [(*point, *dates, "a wood") for point in points]))
    places = ProjectedTable(table).on_grid(site)
    return list(zip(places.text.tolist(), places.row.tolist(), places.column.tolist(), strict=True))


@pytest.mark.parametrize("grid", [NORTH, SOUTH], ids=["north", "south"])
def test_a_point_is_placed_in_its_pixel_on_both_hemispheres(tmp_path, grid):
    site = site_at(grid)
    inner, last = degrees(grid, 73, 158), degrees(grid, 239.9, 239.9)
    assert texts_inside(tmp_path, site, inner, last) == [(0, 15, 7), (1, 23, 23)]


def test_point_on_an_edge_lies_in_the_pixel_right_and_below(tmp_path):
    for grid in (NORTH, SOUTH):
        corners = [degrees(grid, right, down) for right in (0, 120, 240) for down in (0, 240)]
        assert texts_inside(tmp_path, site_at(grid), *corners) == [(0, 0, 0), (2, 0, 12)]


def test_neighboring_sites_share_no_point_of_their_edge(tmp_path):
    crs, west, north = NORTH
    points = [degrees(NORTH, 240, down) for down in range(0, 240, 7)]
    assert texts_inside(tmp_path, site_at(NORTH), *points) == []
    assert len(texts_inside(tmp_path, site_at((crs, west + 240, north)), *points)) == len(points)


def test_a_point_that_is_elsewhere_is_outside(tmp_path):
    elsewhere = [degrees(NORTH, -1, 5), degrees(NORTH, 5, -1), degrees(NORTH, 241, 5), degrees(NORTH, 5, 241)]
    antipodes = [(-177.0, -50.5), (93.0, 0.0), (0.0, 90.0), (180.0, -90.0)]
    assert texts_inside(tmp_path, site_at(NORTH), *elsewhere, *antipodes) == []


def test_text_belongs_to_records_with_overlapping_support_period(tmp_path):
    inside = degrees(NORTH, 5, 5)
    for dates, expected in [
        (("2015-06-01", "2016-01-01"), 0),  # a period does not include its end
        (("2015-06-01", "2016-01-02"), 1),
        (("2016-12-31", "2017-02-01"), 1),
        (("2017-01-01", "2017-02-01"), 0),
        (("2010-01-01", "2030-01-01"), 1),
    ]:
        assert len(texts_inside(tmp_path, site_at(NORTH), inside, dates=dates)) == expected, dates


def test_site_without_support_period_takes_texts_of_frame_years(tmp_path):
    site = replace(site_at(NORTH), support=None)
    first = min(int(series.time_ms[0]) for series in site.series.values())
    assert first < START_MS + 30 * DAY_MS
    assert len(texts_inside(tmp_path, site, degrees(NORTH, 5, 5), dates=("2016-06-01", "2016-07-01"))) == 1
    assert texts_inside(tmp_path, site, degrees(NORTH, 5, 5), dates=("2021-06-01", "2021-07-01")) == []


def test_invalid_grid_error_names_its_site(tmp_path):
    table = read_table(a_table(tmp_path))
    site = site_at(NORTH)
    assert "site made" in error_message(ProjectedTable(table).on_grid, replace(site, crs="EPSG:1"))
