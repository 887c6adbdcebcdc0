"""Tests of readers of labels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine

from aef_jax.data.store.dataset import Dataset
from aef_jax.evaluation.labels.label_maps import choose_labels
from aef_jax.evaluation.labels.labeled_points import sample_points
from aef_jax.evaluation.labels.read_labels import read_labels
from tests.support.data.small_dataset import small_sites, write
from tests.support.refusals import error_message


def write_csv(path: Path, rows: list[str], header: str = "lon,lat,label") -> Path:
    path.write_text("\n".join([header, *rows]))
    return path


def test_points_have_classes_in_their_order_and_ignored_ones(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["3,50,10", "3,51,9", "4,50,", "5,50,maize", "6,50,9.0", "7,50,99"])
    points = read_labels(path, "", "classification", ignore=["99"])
    assert points.classes == ("9", "9.0", "10", "maize")
    assert points.target.tolist() == [2, 0, 3, 1]
    assert points.row.tolist() == [0, 1, 3, 4]
    assert points.num_rows == 6
    assert points.select(points.target != 0).classes == ("9.0", "10", "maize")


def test_values_are_regressed(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["3,50,1.5", "3,51,-2", "4,50,", "4,51,0"], "lon,lat,tons")
    points = read_labels(path, "tons", "regression", ignore=["0"])
    assert points.target.tolist() == [1.5, -2]
    assert points.classes == ()
    bad = write_csv(tmp_path / "b.csv", ["3,50,1", "3,51,much"], "lon,lat,tons")
    assert (
        error_message(read_labels, bad, "tons", "regression")
        == f"{bad}: a value is 'much', expected numbers to regress"
    )


def test_one_class_no_label_and_odd_changes_are_refused(tmp_path):
    same = write_csv(tmp_path / "a.csv", ["3,50,7", "3,51,7", "4,50,8"])
    refusal = f"{same}: all 2 usable points have the class 7, expected at least two"
    assert error_message(read_labels, same, "", "classification", ["8"]) == refusal
    assert "have the value 7, expected at least two" in error_message(read_labels, same, "", "regression", ["8"])
    refusal = f"{same}: none of its 3 points has a label, expected at least two"
    assert error_message(read_labels, same, "", "classification", ["7", "8"]) == refusal
    refusal = f"{same}: its classes are 7, 8, expected 0 (no change) and 1 (change)"
    assert error_message(read_labels, same, "", "change") == refusal
    assert "crop" in error_message(read_labels, same, "crop", "classification")


def test_a_polygon_gives_its_pixels_as_a_group(tmp_path):
    """A square of 30 m at multiples of 10 m in UTM 31 holds nine pixel centers."""
    corners = [(500_000, 5_600_000), (500_030, 5_600_000), (500_030, 5_599_970), (500_000, 5_599_970)]
    to_degrees = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    ring = [list(to_degrees.transform(*corner)) for corner in [*corners, corners[0]]]
    shapes = [{"type": "Polygon", "coordinates": [ring]}, {"type": "Point", "coordinates": [3.1, 50.6]}]
    features = [{"type": "Feature", "geometry": g, "properties": {"label": n}} for n, g in enumerate(shapes)]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    points = read_labels(path, "", "classification")
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(points.lon, points.lat)
    expected = {(500_000 + column, 5_600_000 - row) for column in (5, 15, 25) for row in (5, 15, 25)}
    assert set(zip(np.round(x, 3)[:9], np.round(y, 3)[:9], strict=True)) == expected
    assert points.group.tolist() == points.target.tolist() == [0] * 9 + [1]


def write_raster(path: Path, values: np.ndarray, crs: str | None = "EPSG:32631", **options) -> Path:
    bands = values if values.ndim == 3 else values[None]
    layout = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    transform = Affine(10, 0, 500_000, 0, -10, 5_600_000)
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **layout, **options) as file:
        file.write(bands)
    return path


def test_a_raster_gives_its_pixels_without_no_data(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.array([[1, 2], [255, 2]], np.uint8), nodata=255)
    points = read_labels(path, "", "classification")
    assert points.classes == ("1", "2")
    assert points.target.tolist() == [0, 1, 1]
    assert points.group.tolist() == [0, 0, 0]
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(points.lon, points.lat)
    np.testing.assert_allclose(x, [500_005, 500_015, 500_015], atol=1e-3)
    np.testing.assert_allclose(y, [5_599_995, 5_599_995, 5_599_985], atol=1e-3)
    several = write_raster(tmp_path / "b.tif", np.zeros((2, 2, 2), np.uint8))
    assert "it has 2 bands, expected one map" in error_message(read_labels, several, "", "classification")
    nowhere = write_raster(tmp_path / "c.tif", np.zeros((2, 2), np.uint8), crs=None)
    assert "it has no crs, expected a georeferenced map" in error_message(read_labels, nowhere, "", "classification")


def test_arrays_of_points_are_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, lon=[3.0, 4], lat=[50.0, 51], label=np.array([1, 0]), wide=np.zeros((2, 2)), far=[3.0, 400])
    points = read_labels(path, "", "classification")
    assert (points.lon.tolist(), points.target.tolist(), points.num_rows) == ([3, 4], [1, 0], 2)
    refusal = f"{path}: it has no array 'crop', only lon, lat, label, wide, far, expected arrays in an .npz"
    assert error_message(read_labels, path, "crop", "classification") == refusal
    assert "array 'wide' is float64 of shape (2, 2)" in error_message(read_labels, path, "wide", "classification")
    np.savez(path, lon=[3.0, 400], lat=[50.0, 51], label=[1, 0])
    assert "lon or lat is out of range" in error_message(read_labels, path, "", "classification")
    path.write_bytes(b"PK")
    assert "expected arrays in an .npz" in error_message(read_labels, path, "", "classification")


def test_the_map_of_each_site_is_a_group(tmp_path):
    maps = [np.full((16, 16), -1), np.tile([0, 1], (16, 8))]
    maps[0][3, 4] = 1
    sites = [replace(site, labels={"crops": labels}) for site, labels in zip(small_sites(2), maps, strict=True)]
    path = write(tmp_path / "set", small_sites(1, 5), sites)
    points = read_labels(path, "", "classification")
    assert np.bincount(points.group).tolist() == [1, 256]
    assert points.classes == ("0", "1")
    x, y = Transformer.from_crs("EPSG:4326", sites[0].crs, always_xy=True).transform(points.lon[0], points.lat[0])
    assert (x, y) == pytest.approx((500_045, 5_599_965), abs=1e-3)
    refusal = f"{path}: no record of the training split has 'crops', expected at least one"
    assert error_message(read_labels, path, "", "classification", (), ("training",)) == refusal


def test_one_of_several_label_maps_is_chosen_by_name(tmp_path):
    of_one = replace(Dataset.empty(tmp_path), labels={"crops": 1})
    assert choose_labels(of_one, "") == choose_labels(of_one, "crops") == "crops"
    of_two = replace(of_one, labels={"crops": 1, "landcover": 2})
    assert choose_labels(of_two, "landcover") == "landcover"
    refusal = f"{tmp_path}: it has the label maps crops, landcover: choose one with --column"
    assert error_message(choose_labels, of_two, "") == refusal
    assert "it has no label map 'crop'; did you mean crops?" in error_message(choose_labels, of_two, "crop")
    assert "none of its sites has labels" in error_message(choose_labels, replace(of_one, labels={}), "")
    assert choose_labels(replace(of_one, labels=None), "") == "labels", "an older data set"


def test_some_of_many_points_are_chosen_by_seed(tmp_path):
    points = read_labels(write_csv(tmp_path / "a.csv", [f"3,50,{n % 2}" for n in range(40)]), "", "classification")
    assert sample_points(points, 40, 0) is points
    few = sample_points(points, 10, 0)
    assert len(few.target) == 10
    assert (np.diff(few.row) > 0).all()
    assert few.row.tolist() == sample_points(points, 10, 0).row.tolist() != sample_points(points, 10, 1).row.tolist()
