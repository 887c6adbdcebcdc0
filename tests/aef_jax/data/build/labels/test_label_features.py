"""Classes of points and polygons become maps of labels on the grids of sites."""

from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from aef_jax.data.build.labels.label_features import LabelFeatures, burn_labels, read_label_features
from aef_jax.data.build.readers.grid import Grid
from tests.support.data.feature_files import wkb, write_geojson, write_geoparquet, write_parquet
from tests.support.refusals import error_message

WEST, NORTH = 500_000, 5_600_000
GRID = Grid("EPSG:32631", (10, 0, WEST, 0, -10, NORTH), 4)


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    """Return a ring in meters from the grid's upper left corner, to the right and down."""
    corners = (left, top), (right, top), (right, bottom), (left, bottom), (left, top)
    return [[WEST + x, NORTH - y] for x, y in corners]


def polygon(*rings: list[list[float]]) -> dict:
    return {"type": "Polygon", "coordinates": list(rings)}


def point(right: float, down: float) -> dict:
    return {"type": "Point", "coordinates": [WEST + right, NORTH - down]}


def in_degrees(west: float, south: float, east: float, north: float) -> dict:
    return polygon([[west, south], [east, south], [east, north], [west, north], [west, south]])


def features_of(tmp_path: Path, *features: tuple[dict, object], crs: str = "EPSG:32631") -> LabelFeatures:
    rows = [(geometry, {"crop": label}) for geometry, label in features]
    return read_label_features(write_geojson(tmp_path / "labels.geojson", *rows, crs=crs), "crop")


def centers(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude of each pixel's center."""
    x, y = np.meshgrid(*(10 * np.arange(grid.side) + 5,) * 2)
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    return to_degrees.transform(grid.transform[2] + x, grid.transform[5] - y)


def test_pixels_whose_center_is_inside_have_the_class(tmp_path):
    parts = {"type": "MultiPolygon", "coordinates": [[box(0, 30, 9, 40)], [box(31, 36, 40, 40)]]}
    features = features_of(
        tmp_path,
        (polygon(box(4, 4, 36, 16)), 7),  # centers at 5, 15, 25, 35 are inside; 15 is above 16
        (polygon(box(11, 16, 40, 34), box(14, 24, 26, 26)), 65535),  # its hole holds the centers 15 and 25 of row 25
        (parts, 0),  # the second part holds no center
        (polygon(box(0, 0, 40, 40)), None),
    )
    labels = burn_labels(features, GRID)
    assert labels.dtype == np.int32
    assert labels.tolist() == [[7, 7, 7, 7], [7, 7, 7, 7], [-1, -1, -1, 65535], [0, -1, -1, -1]]


def test_points_label_their_pixel_and_the_last_feature_counts(tmp_path):
    # the upper and the left edge of a pixel are its own: the lower right corner of the grid is outside
    points = [(point(0, 0), 1), (point(19.99, 9.99), 2), (point(20, 10), 3), (point(40, 40), 4), (point(-0.01, 0), 5)]
    below = [(polygon(box(20, 0, 40, 20)), 6), (point(35, 15), 7), (polygon(box(0, 30, 40, 40)), 8), (point(0, 35), 9)]
    labels = burn_labels(features_of(tmp_path, *points, *below), GRID)
    assert labels.tolist() == [[1, 2, 6, 6], [-1, -1, 6, 7], [-1, -1, -1, -1], [9, 8, 8, 8]]


def test_formats_give_the_same_labels(tmp_path):
    (tmp_path / "a.csv").write_text("lon,lat,crop\n3.0001,50.5,7\n3.0002,50.5,\n")
    points = [{"type": "Point", "coordinates": [lon, 50.5]} for lon in (3.0001, 3.0002)]
    files = [
        write_geojson(tmp_path / "a.geojson", *zip(points, ({"crop": 7}, {"crop": None}), strict=True)),
        write_parquet(tmp_path / "a.parquet", {"lon": [3.0001, 3.0002], "lat": [50.5, 50.5], "crop": [7.0, None]}),
        write_geoparquet(tmp_path / "b.parquet", [wkb(each) for each in points], {"crop": [7, None]}),
    ]
    expected = read_label_features(tmp_path / "a.csv", "crop")
    assert (expected.classes.tolist(), expected.bounds.T.tolist()) == ([7], [[3.0001, 50.5, 3.0001, 50.5]])
    for file in files:
        np.testing.assert_equal(read_label_features(file, "crop"), expected)


def test_sites_without_near_features_have_no_labels(tmp_path):
    features = features_of(tmp_path, (in_degrees(8, 50, 9, 51), 1), (in_degrees(3, -51, 4, -50), 2), crs="")
    assert set(burn_labels(features, GRID).ravel().tolist()) == {-1}


def test_edges_of_large_polygons_are_straight_in_degrees(tmp_path):
    """A parallel is an arc in meters, and the equator 90 degrees from the site is at infinity in its UTM zone."""
    grid = Grid("EPSG:32631", (10, 0, 500_000, 0, -10, 5_539_270), 128)
    lon, lat = centers(grid)
    features = features_of(tmp_path, (in_degrees(-87, -60, 3.01, 50), 1), crs="")
    expected = np.where((lat < 50) & (lon < 3.01), 1, -1)
    assert (expected == 1).sum() == 72 * 64  # 50 N is 5,538,631 m north, 3.01 E is 716 m east of 3 E
    np.testing.assert_array_equal(burn_labels(features, grid), expected)


def test_sites_at_180_degrees_and_at_the_pole_are_labeled(tmp_path):
    # at 17 S, 180 degrees is 819,700 m east in zone 60: the site is on both sides of it
    grid = Grid("EPSG:32760", (10, 0, 819_060, 0, -10, 8_118_000), 128)
    lon, lat = centers(grid)
    parts = (in_degrees(179.9, -18, 180, -16), 1), (in_degrees(-180, -18, -179.9, -16), 2)
    labels = burn_labels(features_of(tmp_path, *parts, (in_degrees(-180, 0, 180, 1), 3), crs=""), grid)
    np.testing.assert_array_equal(labels, np.where(lon > 0, 1, 2))
    assert 1000 < (labels == 1).sum() < 15_000
    pole = Grid("EPSG:32661", (10, 0, 1_999_360, 0, -10, 2_000_640), 128)
    lon, lat = centers(pole)
    labels = burn_labels(features_of(tmp_path, (in_degrees(-180, 89.995, 0.0, 90), 4), crs=""), pole)
    np.testing.assert_array_equal(labels, np.where((lat > 89.995) & (lon < 0), 4, -1))


@pytest.mark.parametrize("label", ["wheat", 1.5, -1, 65536, True, [1], "1.5e400"])
def test_classes_that_are_no_whole_numbers_are_refused(tmp_path, label):
    message = error_message(features_of, tmp_path, (point(0, 0), 3), (point(0, 0), label))
    expected = f"feature 2: its crop is {label!r}, expected a whole number from 0 to 65,535"
    assert message == f"{tmp_path / 'labels.geojson'}, {expected}"


def test_file_without_classes_is_refused(tmp_path):
    message = error_message(features_of, tmp_path, (point(0, 0), None))
    assert message.endswith("labels.geojson: no feature has a value of crop, expected at least one")
