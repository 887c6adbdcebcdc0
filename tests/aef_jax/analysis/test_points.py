"""Tests of points in degrees: the pixels that contain them, and the vectors there."""

import numpy as np
import pytest

from aef_jax.analysis.points import labeled_vectors, locate, mean_vector, vectors_at
from aef_jax.inference.field import ArrayField
from tests.support.data.two_halves import HALVES, LAT, LON, degrees, two_halves
from tests.support.refusals import error_message

pytest.importorskip("pyproj", reason="pyproj is in the optional extra geo")


def test_points_lie_in_the_pixels_that_contain_them():
    field = two_halves()
    offsets = np.array([[0, 0], [4.9e-5, 0], [6e-5, 0], [0, -5.5e-5], [-1, 0]])  # 10 m: 1.42e-4 and 0.9e-4 degrees
    rows, columns = locate(field.info, np.array([LON, LAT]) + offsets)
    assert rows.tolist()[:4] == [0, 0, 0, 1]
    assert columns.tolist()[:4] == [0, 0, 0, 0]
    assert columns[4] < -1000
    rows, columns = locate(field.info, np.array([degrees(19, 29)]))
    assert (rows.tolist(), columns.tolist()) == ([19], [29])


def test_vectors_are_read_by_window_in_the_order_of_points():
    vectors = np.random.default_rng(0).normal(size=(300, 520, 4)).astype(np.float32)
    windows = []

    class Recorded(ArrayField):
        def read(self, rows: slice, columns: slice):
            windows.append((rows.stop - rows.start, columns.stop - columns.start))
            return super().read(rows, columns)

    field = Recorded(two_halves().info._replace(shape=(300, 520), embed_dim=4), vectors)
    pixels = [(299, 519), (0, 0), (10, 300), (255, 256), (0, 0), (256, 255)]
    positions = np.array([degrees(*pixel) for pixel in pixels] + [(0.0, 0.0)])
    result = vectors_at(field, positions)
    np.testing.assert_array_equal(result[:-1], [vectors[pixel] for pixel in pixels])
    assert np.isnan(result[-1]).all()
    assert sorted(windows) == [(1, 1)] * 3 + [(246, 45)], "two points share a window, and two a pixel"


def test_the_mean_of_two_orthogonal_vectors_lies_between():
    mean = mean_vector(two_halves(), np.array([degrees(0, 0), degrees(0, 29)]))
    np.testing.assert_allclose(mean, (HALVES[0] + HALVES[1]) / np.sqrt(2), rtol=1e-6)


def test_points_without_a_vector_are_refused_with_the_reason():
    field = two_halves()
    assert "the field has no data there" in error_message(mean_vector, field, np.array([degrees(19, 29)]))
    message = error_message(mean_vector, field, np.array([[LON, LAT], [5.5, 50.5]]))
    assert message == "the point at lon 5.5, lat 50.5 cannot be used: it lies outside of the field"
    opposite = ArrayField(field.info, np.where(np.arange(30)[:, None] < 15, field.vectors, -field.vectors[:, ::-1]))
    points = np.array([degrees(0, 0), degrees(0, 29)])
    assert "mean of the points' vectors is 0" in error_message(mean_vector, opposite, points)


def test_labels_outside_or_without_data_are_counted(tmp_path):
    rows = [(*degrees(0, 0), "a"), (*degrees(19, 29), "b"), (0, 0, "b"), (*degrees(5, 20), "7")]
    table = tmp_path / "labels.csv"
    table.write_text("lon,lat,crop\n" + "".join(f"{lon},{lat},{label}\n" for lon, lat, label in rows))
    labeled = labeled_vectors(two_halves(), table, "crop")
    np.testing.assert_array_equal(labeled.vectors, HALVES)
    assert (labeled.labels.tolist(), labeled.left_out) == (["a", "7"], 2)
