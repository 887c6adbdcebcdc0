"""Tests of how samples are divided."""

import numpy as np
import pytest

from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.evaluation.splits import EARTH_RADIUS_M, block_groups, make_splits, unit_sphere
from tests.support.refusals import error_message

DEGREE_M = np.pi * EARTH_RADIUS_M / 180


def points_of(lon, lat, target, group=None, classes=("a", "b")) -> LabeledPoints:
    rows = np.arange(len(lon))
    group = rows if group is None else np.asarray(group)
    return LabeledPoints(
        "p.csv", np.asarray(lon, float), np.asarray(lat, float), rows, group, np.asarray(target), classes, len(rows)
    )


def test_blocks_have_their_side_in_meters_at_any_latitude():
    """At 60 degrees a degree of longitude is half as long as at the equator."""
    lon = np.array([0, 999, 1001, 0, 0]) / DEGREE_M
    lat = np.array([0, 0, 0, 999, 1001]) / DEGREE_M
    assert block_groups(lon, lat, 1000).tolist() == [0, 0, 1, 0, 2]
    assert block_groups(2 * lon, 60 + 0 * lat, 1000).tolist() == [0, 0, 1, 0, 0]


def test_parts_are_disjoint_whole_and_keep_groups_together():
    generator = np.random.default_rng(0)
    points = points_of(generator.uniform(0, 0.1, 300), np.zeros(300), generator.integers(2, size=300))
    for block_m in (0, 700):
        splits = make_splits(points, 3, 0, block_m)
        assert sorted(np.concatenate([test for _, test in splits])) == list(range(300))
        assert all(sorted([*training, *test]) == list(range(300)) for training, test in splits)
    blocks = block_groups(points.lon, points.lat, 700)
    assert all(not set(blocks[training]) & set(blocks[test]) for training, test in splits)
    assert all(len(test) > 50 for _, test in splits)
    again = make_splits(points, 3, 1, 700)
    assert [test.tolist() for _, test in again] != [test.tolist() for _, test in splits], "another seed"


def test_groups_of_values_are_kept_together():
    group = np.repeat(np.arange(6), 5)
    points = points_of(np.arange(30), np.zeros(30), np.arange(30.0), group, classes=())
    for training, test in make_splits(points, 2, 0):
        assert len(test) == len(training) == 15
        assert not set(group[training]) & set(group[test])


def test_a_buffer_leaves_out_near_training_samples():
    """Points lie 100 m apart in a row, also across 180 degrees; blocks of 1 km take ten of them."""
    lon = (np.arange(100) * 100 / DEGREE_M + 179.95 + 180) % 360 - 180
    points = points_of(lon, np.zeros(100), np.arange(100) % 2, group=np.arange(100) // 10)
    place = np.arange(100) * 100.0
    for (whole, _), (training, test) in zip(make_splits(points, 2, 0), make_splits(points, 2, 0, 0, 250), strict=True):
        distance = np.abs(place[whole][:, None] - place[test]).min(axis=1)
        assert training.tolist() == whole[distance >= 250].tolist()
        assert 0 < len(training) < len(whole)


def test_too_few_groups_or_samples_are_refused():
    one_map = points_of(np.arange(4), np.zeros(4), [0, 1, 0, 1], group=[0, 0, 0, 0])
    refusal = (
        "p.csv: its points lie in 1 group that must stay together, expected at least the 2 of --parts: give --blocks"
        " METERS, or more sites or polygons"
    )
    assert error_message(make_splits, one_map, 2, 0) == refusal
    few = points_of(np.arange(4), np.zeros(4), [0, 0, 0, 1])
    refusal = "p.csv: class b has 1 usable samples, fewer than the 2 of --parts; --ignore b leaves it out"
    assert error_message(make_splits, few, 2, 0) == refusal
    assert "5 of --parts" in error_message(make_splits, few, 5, 0)
    near = points_of(np.arange(4) / 1e6, np.zeros(4), [0, 0, 1, 1])
    refusal = "p.csv: all training points are nearer than the buffer of 500 m to a test point"
    assert error_message(make_splits, near, 2, 0, 0, 500.0) == refusal


def test_coordinates_lie_on_the_unit_sphere():
    x = unit_sphere(np.array([0.0, 90, 180, 7]), np.array([0.0, 0, 0, 90]))
    np.testing.assert_allclose(x, [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    assert pytest.approx(1) == np.linalg.norm(unit_sphere(np.array([33.0]), np.array([-12.0])))
