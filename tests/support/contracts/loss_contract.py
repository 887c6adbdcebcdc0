"""The contract of the objective's terms, in either framework: those of reconstructions, and all others."""

from abc import abstractmethod
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import softmax

from configs.source import Source
from configs.sources import ERA5_LAND, GRACE, LANDSAT, NLCD, SENTINEL2
from tests.support.contracts import plain_losses
from tests.support.contracts.embedding_loss_contract import EmbeddingLossContract, assert_slopes

BATCH, HEIGHT, WIDTH, CLASSES = 3, 7, 10, 4


def _few(source: Source) -> Source:
    """Reduce a source to two bands, or to few classes."""
    return replace(source, bands=source.bands[:2], classes=source.classes and CLASSES)


SOURCES = {
    "pixels": _few(ERA5_LAND),
    "shift-invariant": _few(SENTINEL2),
    "regridded": _few(LANDSAT),
    "regridded beyond the tile": _few(GRACE),
    "classes": replace(_few(NLCD), regrid_m=0),
    "shift-invariant classes": replace(_few(NLCD), regrid_m=0, shift_invariant_m=10),
    "regridded classes": _few(NLCD),
}
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


class LossContract(EmbeddingLossContract):
    """A framework's subclass defines how its functions are called."""

    @abstractmethod
    def regrid(self, x: np.ndarray, valid: np.ndarray, side: int, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the averages, and the number of pixels in each."""

    def reconstruction(self, source: Source, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = self.value_and_gradient("reconstruction_error", *arrays, source=source)
        assert value.shape == ()
        assert value.dtype == gradient.dtype == arrays[0].dtype
        return value, gradient

    @pytest.mark.slow
    @every_source
    @pytest.mark.parametrize("batch", [1, BATCH])
    def test_reconstruction_is_the_plain_computation(self, source, batch):
        given = _draw(source, batch)
        value, gradient = self.reconstruction(source, *given)
        assert value == pytest.approx(plain_losses.reconstruction_error(source, *given), rel=1e-13)
        assert_slopes(gradient, lambda x: plain_losses.reconstruction_error(source, x, *given[1:]), given[0])

    @every_source
    def test_float32(self, source):
        prediction, *rest = _draw(source)
        value, gradient = self.reconstruction(source, prediction.astype(np.float32), *rest)
        exact, exact_gradient = self.reconstruction(source, prediction, *rest)
        assert value == pytest.approx(exact, rel=1e-6)
        np.testing.assert_allclose(gradient, exact_gradient, atol=1e-6 * np.abs(exact_gradient).max())

    @every_source
    def test_nothing_valid_is_no_error(self, source):
        prediction, target, valid, offset = _draw(source)
        value, gradient = self.reconstruction(source, prediction, target, np.zeros_like(valid), offset)
        assert value == 0
        assert not gradient.any()

    @every_source
    @pytest.mark.parametrize("place", [(0, 0), (6, 9), (3, 4)])
    def test_one_valid_pixel(self, source, place):
        """Also in a corner, where shifts move it out of the tile."""
        prediction, target, valid, offset = _draw(source)
        valid[:] = False
        valid[1, *place] = True
        value, gradient = self.reconstruction(source, prediction, target, valid, offset)
        assert value > 0.01
        assert value == pytest.approx(plain_losses.reconstruction_error(source, prediction, target, valid, offset))
        assert gradient[1].any()
        assert not gradient[[0, 2]].any()

    @every_source
    @pytest.mark.parametrize(("anything", "any_class"), [(np.nan, -1), (-np.inf, CLASSES), (1e30, 2**31 - 1)])
    def test_an_invalid_target_has_no_influence(self, source, anything, any_class):
        prediction, target, valid, offset = _draw(source)
        prediction = prediction.astype(np.float32)
        valid[0] = False
        anything = target.dtype.type(any_class if source.kind == "classes" else anything)
        expected = self.reconstruction(source, prediction, target, valid, offset)
        actual = self.reconstruction(source, prediction, np.where(valid, target, anything), valid, offset)
        assert np.isfinite(expected[1]).all()
        for x, y in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(x, y, strict=True)

    @pytest.mark.parametrize("name", [name for name in SOURCES if "classes" in name])
    @pytest.mark.parametrize("unknown", [-1, CLASSES, 2**31 - 1, -(2**31)])
    def test_a_class_that_the_source_has_not_is_invalid(self, name, unknown):
        prediction, target, valid, offset = _draw(SOURCES[name])
        wrong = np.random.default_rng(1).random(target.shape) < 0.3
        target = np.where(wrong, np.int32(unknown), target)
        actual = self.reconstruction(SOURCES[name], prediction, target, valid, offset)
        expected = self.reconstruction(SOURCES[name], prediction, target, valid & ~wrong, offset)
        for x, y in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(x, y, strict=True)

    @pytest.mark.parametrize("name", ["pixels", "regridded", "classes", "regridded classes"])
    def test_predictions_at_invalid_targets_have_no_influence(self, name):
        prediction, target, valid, offset = _draw(SOURCES[name])
        counts = valid if valid.ndim == 4 else valid[..., None]
        expected = self.reconstruction(SOURCES[name], prediction, target, valid, offset)
        assert not expected[1][~np.broadcast_to(counts, prediction.shape)].any()
        actual = self.reconstruction(SOURCES[name], np.where(counts, prediction, 1e30), target, valid, offset)
        for x, y in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(x, y, strict=True)

    def test_shifts_are_forgiven_up_to_their_distance(self):
        source = SOURCES["shift-invariant"]
        whole = np.random.default_rng(0).standard_normal((1, HEIGHT + 6, WIDTH + 6, 2))
        target = whole[:, 3:-3, 3:-3]
        given = target, np.ones(target.shape, bool), np.zeros((1, 2), np.int32)
        for down, right in product(range(-3, 4), repeat=2):
            prediction = whole[:, 3 + down : 3 + down + HEIGHT, 3 + right : 3 + right + WIDTH]
            value, _ = self.reconstruction(source, prediction, *given)
            assert value < 1e-15 if np.hypot(down, right) <= 2 else value > 0.3, (down, right)

    def test_equally_good_shifts_share_the_gradient(self):
        source, shape = SOURCES["shift-invariant"], (1, HEIGHT, WIDTH, 2)
        valid = np.zeros(shape, bool)
        valid[0, 1, 2] = True
        value, gradient = self.reconstruction(
            source, np.ones(shape), np.zeros(shape), valid, np.zeros((1, 2), np.int32)
        )
        seen = [(1 - down, 2 - right) for down, right in plain_losses.shifts(20) if down <= 1]
        expected = np.zeros(shape)
        for row, column in seen:
            expected[0, row, column] = 1 / 2 / len(seen)
        assert value == 1
        np.testing.assert_allclose(gradient, expected, rtol=1e-13)

    def test_l1_is_flat_where_there_is_no_error(self):
        source = SOURCES["pixels"]
        prediction, target, valid, offset = _draw(source)
        prediction[0] = target[0]
        _, gradient = self.reconstruction(source, prediction, target, valid, offset)
        np.testing.assert_allclose(gradient, np.sign(prediction - target) * valid / valid.sum(), rtol=1e-13)

    def test_cross_entropy_at_its_ends(self):
        source, (_, target, valid, offset) = SOURCES["classes"], _draw(SOURCES["classes"])
        one_hot = np.eye(CLASSES, dtype=np.float32)[target]
        value, gradient = self.reconstruction(source, 0 * one_hot, target, valid, offset)
        assert value == pytest.approx(np.log(CLASSES))
        np.testing.assert_allclose(gradient, (softmax(0 * one_hot, -1) - one_hot) * valid[..., None] / valid.sum())
        assert self.reconstruction(source, 200 * one_hot, target, valid, offset)[0] == 0
        for confidence in (50, 87, 95, 200):  # in the wrong classes
            value, gradient = self.reconstruction(source, -confidence * one_hot, target, valid, offset)
            assert 49 < value <= confidence + np.log(CLASSES)
            assert np.isfinite(gradient).all()

    def test_regrid_without_offset_is_the_mean_of_blocks(self):
        x = np.random.default_rng(0).standard_normal((2, 6, 9, 2))
        means, pixels = self.regrid(x, np.ones(x.shape, bool), 3, np.zeros((2, 2), int))
        np.testing.assert_allclose(means[:, :2, :3], x.reshape(2, 2, 3, 3, 3, 2).mean((2, 4)), rtol=1e-13)
        assert (pixels[:, :2, :3] == 9).all()
        assert not pixels[:, 2:].any()
        assert not pixels[:, :, 3:].any()
        assert not means[pixels == 0].any()

    @pytest.mark.slow
    @pytest.mark.parametrize("side", [1, 2, 3, 8, 128])
    def test_regrid_at_any_offset(self, side):
        offsets = np.array(list(product({0, 1, side // 2, side - 1} & set(range(side)), repeat=2)))
        x = np.random.default_rng(0).standard_normal((len(offsets), 5, 9, 2))
        valid = np.random.default_rng(1).random(x.shape) < 0.4
        means, pixels = self.regrid(x, valid, side, offsets)
        for sequence, offset in enumerate(offsets):
            image = plain_losses.image(x[sequence], valid[sequence])
            cells = plain_losses.cells(image, side, offset)
            filled = {cell: pixels[sequence][cell] for cell in zip(*np.nonzero(pixels[sequence]), strict=True)}
            assert filled == {cell: len(places) for cell, places in cells.items()}
            expected = plain_losses.cell_means(image, side, offset)
            actual = [means[sequence][cell] for cell in expected]
            np.testing.assert_allclose(actual, list(expected.values()), rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("side", [2, 3, 128])
    def test_regrid_conserves_the_total(self, side):
        """The sum over cells, each times its pixels, is the sum over the tile; and constants stay."""
        x = np.random.default_rng(0).standard_normal((4, 7, 9, 2))
        offset = np.random.default_rng(1).integers(side, size=(4, 2))
        whole = np.ones(x.shape, bool)
        means, pixels = self.regrid(x, whole, side, offset)
        np.testing.assert_allclose((means * pixels).sum((1, 2)), x.sum((1, 2)), rtol=1e-12, atol=1e-13)
        constant, _ = self.regrid(np.full_like(x, 0.7), whole, side, offset)
        np.testing.assert_allclose(constant, 0.7 * (pixels > 0), rtol=1e-14)

    @pytest.mark.parametrize(
        ("offset", "cell"),
        [((0, 0), np.s_[:3, :3]), ((2, 0), np.s_[:1, :3]), ((2, 2), np.s_[:1, :1]), ((0, 0), np.s_[6:, 9:])],
        ids=["whole cell", "row of one", "upper left pixel", "lower right pixel"],
    )
    def test_a_sliver_of_a_coarse_cell_weighs_what_it_covers(self, offset, cell):
        prediction = np.zeros((1, HEIGHT, WIDTH, 2))
        prediction[0][cell] = 1
        given = np.zeros_like(prediction), np.ones(prediction.shape, bool), np.array([offset], np.int32)
        value, gradient = self.reconstruction(SOURCES["regridded"], prediction, *given)
        assert value == pytest.approx(prediction.mean(), rel=1e-14)
        np.testing.assert_allclose(gradient, prediction / prediction.size, rtol=1e-14)


def _draw(source: Source, batch: int = BATCH) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw prediction, target, mask and offsets. Sequences have unequal shares of valid elements."""
    generator = np.random.default_rng(0)
    prediction = generator.standard_normal((batch, HEIGHT, WIDTH, source.decoder_outputs))
    shape = prediction.shape if source.kind == "continuous" else prediction.shape[:-1]
    share = np.linspace(0.6, 0.2, batch).reshape(-1, *[1] * (len(shape) - 1))
    valid = generator.random(shape) < share
    classes = generator.integers(CLASSES, size=shape).astype(np.int32)
    target = generator.standard_normal(shape) if source.kind == "continuous" else classes
    offset = generator.integers(max(1, int(source.regrid_m) // 10), size=(batch, 2)).astype(np.int32)
    return prediction, target, valid, offset
