"""Slope and aspect of planes, worked out by hand."""

import numpy as np
import pytest

from aef_jax.data.terrain import slope_and_aspect

ROW, COLUMN = np.mgrid[:5, :6] * 10.0


@pytest.mark.parametrize(
    ("elevation", "slope", "aspect_degrees"),
    [
        (ROW, 45, 0),  # it rises to the south, so it faces north
        (-COLUMN * np.sqrt(3), 60, 90),
        (-ROW / np.sqrt(3), 30, 180),
        (COLUMN, 45, 270),
        (ROW - COLUMN, np.degrees(np.arctan(np.sqrt(2))), 45),
        (np.zeros((5, 6)), 0, 0),
    ],
    ids=["north", "east", "south", "west", "north-east", "flat"],
)
def test_a_plane_has_its_slope_and_aspect_everywhere(elevation, slope, aspect_degrees):
    aspect = np.radians(aspect_degrees)
    expected = [np.radians(slope), np.sin(aspect), np.cos(aspect)]
    np.testing.assert_allclose(slope_and_aspect(elevation), np.tile(expected, (5, 6, 1)), atol=1e-12)
