"""A model that is small enough for tests, and random things for it to see."""

from dataclasses import replace
from functools import partial

import configs.fake_batch
from configs.fake_batch import SEQUENCES
from configs.model import ModelConfig
from configs.presets import TINY
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2, TEXT

SHRUNK = replace(
    TINY,
    model=ModelConfig(
        d_precision=8,
        d_exchange=12,
        d_time=16,
        d_space=16,
        num_blocks=2,
        heads_time=2,
        heads_space=2,
        heads_summary=2,
        mlp_ratio=2,
        embed_dim=8,
        decoder_width=16,
        text_width=12,
        block_loop="unroll",
        remat="none",
    ),
    sources=(SENTINEL2, LANDSAT, SENTINEL1, GLO30, NLCD, TEXT),
)
BATCH = SEQUENCES
random_frames = partial(configs.fake_batch.random_frames, SHRUNK)
