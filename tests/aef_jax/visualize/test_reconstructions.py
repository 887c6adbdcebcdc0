"""Tests of pictures of reconstructions of sources of every kind."""

import numpy as np
import pytest

from aef_jax.data.store.normalization import Normalization
from aef_jax.visualize.reconstructions import Reconstruction, draw_reconstructions, mean_error
from configs.sources import ERA5_LAND, GEDI, NLCD, SENTINEL1

NORMALIZATION = Normalization({}, {})


def test_of_classes_the_error_is_another_class():
    target = np.array([[1, 2], [3, 4]], np.int32)
    logits = np.zeros((2, 2, NLCD.classes), np.float32)
    logits[[0, 0, 1, 1], [0, 1, 0, 1], [1, 5, 3, 4]] = 9
    valid = np.array([[True, True], [True, False]])
    row = Reconstruction("", target, logits, valid)
    figure = draw_reconstructions([row], NLCD, NORMALIZATION)
    shown, made, error = (axes.images[0].get_array() for axes in figure.axes[:3])
    np.testing.assert_array_equal(error.filled(-1), [[0, 1], [0, -1]])
    np.testing.assert_array_equal(shown[1], made[1])
    assert (shown[0, 1] != made[0, 1]).any()
    assert mean_error(row) == pytest.approx(1 / 3)


def test_sparse_pixels_are_dots():
    target = np.zeros((32, 32, GEDI.channels), np.float32)
    valid = np.zeros(target.shape, bool)
    valid[[3, 20], [5, 30]] = True
    figure = draw_reconstructions([Reconstruction("", target, target + 0.5, valid)], GEDI, NORMALIZATION)
    for axes in (figure.axes[0], figure.axes[2]):
        (dots,) = axes.collections
        np.testing.assert_array_equal(dots.get_offsets(), [[5, 3], [30, 20]])
    np.testing.assert_allclose(figure.axes[2].collections[0].get_array(), 0.5)


def test_flat_frames_differ_by_a_common_stretch():
    shape = (8, 8, ERA5_LAND.channels)
    rows = [
        Reconstruction("", np.full(shape, level, np.float32), np.zeros(shape, np.float32), np.ones(shape, bool))
        for level in (-1, 0, 1)
    ]
    figure = draw_reconstructions(rows, ERA5_LAND, NORMALIZATION)
    grays = [figure.axes[index].images[0].get_array()[0, 0, 0] for index in (0, 3, 6, 1)]
    assert grays[0] == 0
    assert grays[2] == 1
    assert grays[1] == grays[3] == pytest.approx(0.5, abs=0.01)


def test_bands_that_a_frame_lacks_are_not_hatched():
    pixels = np.random.default_rng(0).normal(size=(8, 8, SENTINEL1.channels)).astype(np.float32)
    valid = np.ones(pixels.shape, bool)
    valid[..., 2:4] = False
    valid[0, 0] = False
    figure = draw_reconstructions([Reconstruction("", pixels, pixels, valid)], SENTINEL1, NORMALIZATION)
    opacity = figure.axes[0].images[1].get_alpha()
    assert opacity[0, 0] > 0.5
    assert opacity.ravel()[1:].max() == 0
