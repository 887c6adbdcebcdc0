"""The contract of the model, in either framework."""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest

from configs.batch import Frames
from configs.config import Config
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH
from configs.fake_batch import random_periods
from tests.support.data.sample_batch import BATCH, SHRUNK, random_frames

ONE_BLOCK = replace(SHRUNK, model=replace(SHRUNK.model, num_blocks=1))
BFLOAT16 = replace(ONE_BLOCK, model=replace(ONE_BLOCK.model, compute_dtype="bfloat16"))
FRAMES, PERIODS = random_frames(), random_periods()


class ModelContract(ABC):
    """A framework's subclass defines how its model is run. The model of a config always has the same weights."""

    @abstractmethod
    def fields(self, config: Config, frames: dict[str, Frames], periods: np.ndarray) -> np.ndarray:
        """Compute the embedding fields; raises as the model does."""

    @abstractmethod
    def gradients(self, config: Config, frames: dict[str, Frames], periods: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the gradients of the sum of the fields' first component, by parameters and by pixels."""

    @abstractmethod
    def decode(self, config: Config, source: str, *given: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def embed_text(self, config: Config, *given: np.ndarray) -> np.ndarray: ...

    def test_embeddings_are_unit_vectors(self):
        fields = self.fields(ONE_BLOCK, FRAMES, PERIODS)
        assert fields.shape == (BATCH, 2, 32, 32, SHRUNK.model.embed_dim)
        _assert_unit(fields)

    @pytest.mark.slow
    @pytest.mark.parametrize("anything", [np.nan, np.inf, 1e30])
    def test_what_an_absent_frame_holds_has_no_influence(self, anything):
        def filled(array, present):
            return np.where(present.reshape(*present.shape, *[1] * (array.ndim - 2)), array, np.float32(anything))

        frames = {
            name: Frames(filled(pixels, present), filled(timecodes, present), present, bands ^ ~present[..., None])
            for name, (pixels, timecodes, present, bands) in FRAMES.items()
        }
        np.testing.assert_array_equal(
            self.fields(ONE_BLOCK, frames, PERIODS), self.fields(ONE_BLOCK, FRAMES, PERIODS), strict=True
        )
        expected = self.gradients(ONE_BLOCK, FRAMES, PERIODS)
        for name, gradient in self.gradients(ONE_BLOCK, frames, PERIODS).items():
            assert np.isfinite(gradient).all(), name
            np.testing.assert_array_equal(gradient, expected[name], err_msg=name, strict=True)

    @pytest.mark.slow
    def test_a_tile_without_any_frame_has_an_embedding(self):
        frames = {name: f._replace(present=np.zeros_like(f.present)) for name, f in FRAMES.items()}
        fields = self.fields(ONE_BLOCK, frames, PERIODS)
        _assert_unit(fields)
        assert np.abs(fields[:, 0] - fields[:, 1]).max() > 1e-3  # the fields still depend on the period
        for name, gradient in self.gradients(ONE_BLOCK, frames, PERIODS).items():
            assert np.isfinite(gradient).all(), name

    @pytest.mark.slow
    @pytest.mark.parametrize("side", [16, 48])
    def test_any_multiple_of_16_is_a_tile_side(self, side):
        fields = self.fields(ONE_BLOCK, random_frames(side=side), PERIODS)
        assert fields.shape[2:4] == (side, side)
        _assert_unit(fields)

    def test_another_tile_side_is_refused(self):
        with pytest.raises(ValueError, match="24 x 24 pixels, expected multiples of 16"):
            self.fields(ONE_BLOCK, random_frames(side=24), PERIODS)

    def test_the_order_of_sources_has_no_meaning(self):
        frames = dict(reversed(FRAMES.items()))
        np.testing.assert_array_equal(
            self.fields(ONE_BLOCK, frames, PERIODS), self.fields(ONE_BLOCK, FRAMES, PERIODS), strict=True
        )

    def test_the_order_of_frames_has_no_meaning(self):
        frames = {name: Frames(*(array[:, ::-1].copy() for array in f)) for name, f in FRAMES.items()}
        fields = self.fields(ONE_BLOCK, frames, PERIODS)
        np.testing.assert_allclose(fields, self.fields(ONE_BLOCK, FRAMES, PERIODS), atol=2e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("names", [["sentinel1"], ["landsat", "sentinel2"]])
    def test_a_source_left_out_is_a_source_without_frames(self, names):
        absent = {
            name: f if name in names else f._replace(present=np.zeros_like(f.present)) for name, f in FRAMES.items()
        }
        fields = self.fields(ONE_BLOCK, {name: FRAMES[name] for name in names}, PERIODS)
        np.testing.assert_allclose(fields, self.fields(ONE_BLOCK, absent, PERIODS), atol=2e-6)

    def test_an_unknown_source_is_refused(self):
        with pytest.raises(ValueError, match="modis"):
            self.fields(ONE_BLOCK, {"modis": FRAMES["landsat"]}, PERIODS)

    def test_periods_are_independent_of_one_another(self):
        alone = self.fields(ONE_BLOCK, FRAMES, PERIODS[:, 1:])
        np.testing.assert_allclose(alone[:, 0], self.fields(ONE_BLOCK, FRAMES, PERIODS)[:, 1], atol=2e-6)

    @pytest.mark.slow
    def test_bfloat16(self):
        exact, fields = self.fields(ONE_BLOCK, FRAMES, PERIODS), self.fields(BFLOAT16, FRAMES, PERIODS)
        _assert_unit(fields)
        assert 1e-6 < 1 - np.sum(exact * fields, axis=-1).mean() < 1e-3
        expected = self.gradients(ONE_BLOCK, FRAMES, PERIODS)
        for name, gradient in self.gradients(BFLOAT16, FRAMES, PERIODS).items():
            assert gradient.dtype == np.float32, name
            assert _cosine(gradient, expected[name]) > 0.98, name

    @pytest.mark.slow
    @pytest.mark.parametrize("config", [ONE_BLOCK, BFLOAT16])
    def test_decoders(self, config):
        generator = np.random.default_rng(0)
        for source in config.decoded_sources:
            widths = RELATIVE_TIMECODE_WIDTH * source.timed, source.metadata_width
            sample = generator.standard_normal((BATCH, 4, 6, config.model.embed_dim), np.float32)
            conditions = [generator.standard_normal((BATCH, width), np.float32) for width in widths]
            decoded = self.decode(config, source.name, sample, *conditions)
            assert decoded.shape == (BATCH, 4, 6, source.classes or source.channels)
            assert decoded.dtype == np.float32

    @pytest.mark.slow
    def test_text(self):
        generator = np.random.default_rng(0)
        widths = SHRUNK.model.text_width, PERIOD_CODE_WIDTH
        given = [generator.standard_normal((BATCH, width), np.float32) for width in widths]
        _assert_unit(self.embed_text(ONE_BLOCK, *given))
        without = replace(ONE_BLOCK, sources=ONE_BLOCK.sources[:-1])
        with pytest.raises(ValueError, match="no text head"):
            self.embed_text(without, *given)


def _assert_unit(fields: np.ndarray):
    assert fields.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(fields.astype(np.float64), axis=-1), 1, atol=1e-6)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
