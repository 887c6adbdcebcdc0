"""The contract of the objective's terms of embeddings, in either framework."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import numpy as np
import pytest

from configs.source import Source
from tests.support.contracts import plain_losses

PAIRS, TEMPERATURE = 5, 0.07


class EmbeddingLossContract(ABC):
    """A framework's subclass defines how its functions are called."""

    @abstractmethod
    def value_and_gradient(
        self, name: str, *arrays: np.ndarray, source: Source | None = None, by: int = 0, **options: float
    ) -> tuple[Any, Any]:
        """Compute the loss `name` and its gradient by array number `by`; `source` is its first argument, if any."""

    def test_uniformity_is_of_one_pixel_in_two_places(self):
        mu = _directions(3, 2, 4, 5, 8)
        value, gradient = self.value_and_gradient("uniformity", mu)

        def plain(mu):
            pairs = [(mu[b, :, y, x], mu[b - 1, :, y, x]) for b, y, x in np.ndindex(3, 4, 5)]
            return np.mean([abs(np.vdot(place[p], other[p])) for place, other in pairs for p in range(2)])

        assert value == pytest.approx(plain(mu), rel=1e-13)
        assert_slopes(gradient, plain, mu)

    def test_orthogonal_places_are_uniform(self):
        mu = np.eye(2)[:, None, None, None]
        value, gradient = self.value_and_gradient("uniformity", mu)
        assert value == 0
        assert not gradient.any()

    def test_uniformity_of_a_single_sequence_moves_nothing(self):
        """A single sequence is its own other place: the gradient is along mu, and does not turn it."""
        mu = _directions(1, 2, 4, 5, 8)
        value, gradient = self.value_and_gradient("uniformity", mu)
        assert value == pytest.approx(1)
        np.testing.assert_allclose(gradient, mu * np.sum(gradient * mu, -1, keepdims=True), atol=1e-15)

    def test_consistency(self):
        teacher, student = _directions(3, 4, 5, 8), _directions(3, 4, 5, 8, seed=1)
        value, gradient = self.value_and_gradient("consistency", teacher, student)
        half_squares = [np.sum((teacher[i] - student[i]) ** 2) / 4 for i in np.ndindex(3, 4, 5)]
        assert value == pytest.approx(np.mean(half_squares), rel=1e-13)
        np.testing.assert_allclose(gradient, -student / 2 / len(half_squares), rtol=1e-13)
        assert self.value_and_gradient("consistency", teacher, teacher)[0] == pytest.approx(0, abs=1e-15)
        assert self.value_and_gradient("consistency", teacher, -teacher)[0] == pytest.approx(1)

    @pytest.mark.parametrize("present", ["11111", "10110", "00110"])
    @pytest.mark.parametrize("temperature", [TEMPERATURE, 1.0])
    def test_clip_is_the_plain_computation(self, present, temperature):
        *pairs, mask = _pairs(present)

        def plain(x, by):
            return plain_losses.clip(*(x if i == by else pair for i, pair in enumerate(pairs)), mask, temperature)

        for by, x in enumerate(pairs):
            value, gradient = self.value_and_gradient("clip", *pairs, mask, by=by, temperature=temperature)
            assert value.shape == ()
            assert value.dtype == gradient.dtype == np.float64
            assert value == pytest.approx(plain(x, by), rel=1e-13)
            assert_slopes(gradient, partial(plain, by=by), x)

    def test_clip_at_its_ends(self):
        """Equal pairs are matched by chance. For orthogonal, matching pairs only the temperature leaves an error."""
        alike, apart, mask = np.tile(_directions(8), (PAIRS, 1)), np.eye(PAIRS), np.ones(PAIRS, bool)
        value, gradient = self.value_and_gradient("clip", alike, alike, mask, temperature=TEMPERATURE)
        assert value == pytest.approx(np.log(PAIRS), rel=1e-13)
        np.testing.assert_allclose(gradient, 0, atol=1e-14)
        for temperature in (1.0, TEMPERATURE):
            left = np.log1p((PAIRS - 1) * np.exp(-1 / temperature))
            value, _ = self.value_and_gradient("clip", apart, apart, mask, temperature=temperature)
            assert value == pytest.approx(left, rel=1e-9, abs=1e-15)
            value, _ = self.value_and_gradient("clip", apart, np.roll(apart, 1, 0), mask, temperature=temperature)
            assert value == pytest.approx(1 / temperature + left, rel=1e-13)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("present", ["00000", "00100", "0", "1"])
    def test_clip_of_no_text_or_of_one_alone_is_nothing(self, present, dtype):
        mu, text, mask = _pairs(present, dtype)
        for by in (0, 1):
            value, gradient = self.value_and_gradient("clip", mu, text, mask, by=by, temperature=TEMPERATURE)
            assert value == 0
            assert not gradient.any()

    @pytest.mark.parametrize("anything", [np.nan, np.inf, 1e30])
    @pytest.mark.parametrize("present", ["10110", "00100", "00000"])
    def test_an_absent_text_has_no_influence(self, present, anything):
        mu, text, mask = _pairs(present, np.float32)
        absent = [np.where(mask[:, None], x, np.float32(anything)) for x in (mu, text)]
        for by in (0, 1):
            expected = self.value_and_gradient("clip", mu, text, mask, by=by, temperature=TEMPERATURE)
            actual = self.value_and_gradient("clip", *absent, mask, by=by, temperature=TEMPERATURE)
            assert np.isfinite(expected[0])
            assert not expected[1][~mask].any()
            for x, y in zip(actual, expected, strict=True):
                np.testing.assert_array_equal(x, y, strict=True)

    @pytest.mark.parametrize("temperature", [TEMPERATURE, 1e-4])
    def test_clip_in_float32(self, temperature):
        """At the low temperature, wrong texts outweigh the right one by thousands of e-foldings."""
        pairs = _pairs("11011", np.float32)
        value, gradient = self.value_and_gradient("clip", *pairs, temperature=temperature)
        doubles = (x.astype(np.float64) for x in pairs[:2])
        exact, exact_gradient = self.value_and_gradient("clip", *doubles, pairs[2], temperature=temperature)
        assert value.dtype == gradient.dtype == np.float32
        assert value == pytest.approx(exact, rel=1e-6)
        np.testing.assert_allclose(gradient, exact_gradient, atol=2e-6 * np.abs(exact_gradient).max())


def _pairs(present: str, dtype: type[np.floating] = np.float64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw directions of places and of texts, and parse which of them are present."""
    number = len(present)
    mask = np.array([digit == "1" for digit in present])
    return _directions(number, 8).astype(dtype), _directions(number, 8, seed=1).astype(dtype), mask


def _directions(*shape: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def assert_slopes(gradient: np.ndarray, function, at: np.ndarray, directions: int = 4, step: float = 1e-5):
    """Assert that the gradient is the function's slope, by central differences along random directions."""
    generator = np.random.default_rng(2)
    for _ in range(directions):
        direction = generator.standard_normal(at.shape)
        slope = (function(at + step * direction) - function(at - step * direction)) / (2 * step)
        assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-6, abs=1e-8)
