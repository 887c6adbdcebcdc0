"""A model that is small enough for tests, and random things for it to see."""

from dataclasses import replace

import numpy as np

from configs.batch import Frames
from configs.model import ModelConfig
from configs.presets import TINY
from configs.run import Config
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2, TEXT
from configs.timecode import PERIOD_CODE_WIDTH, TIMECODE_WIDTH

SHRUNK = replace(
    TINY,
    model=ModelConfig(
        d_precision=8,
        d_exchange=12,
        d_time=16,
        d_space=16,
        blocks=2,
        heads_time=2,
        heads_space=2,
        heads_summary=2,
        mlp_ratio=2,
        embedding=8,
        decoder_width=16,
        text_width=12,
        block_loop="unroll",
        remat="none",
    ),
    sources=(SENTINEL2, LANDSAT, SENTINEL1, GLO30, NLCD, TEXT),
)
BATCH = 2


def random_frames(config: Config = SHRUNK, side: int = 32, seed: int = 0) -> dict[str, Frames]:
    """Three frames of each input source; some are absent, and no sequence is without any."""
    generator = np.random.default_rng(seed)
    frames = {}
    for source in config.input_sources:
        present = generator.random((BATCH, 3)) < 0.6
        present[:, 1] = True
        frames[source.name] = Frames(
            generator.standard_normal((BATCH, 3, side, side, source.channels), np.float32),
            generator.uniform(-1, 1, (BATCH, 3, TIMECODE_WIDTH)).astype(np.float32),
            present,
        )
    return frames


def random_periods(number: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (BATCH, number, PERIOD_CODE_WIDTH)).astype(np.float32)
