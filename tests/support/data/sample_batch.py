"""A small config for tests, and random frames for it."""

from dataclasses import replace
from functools import partial

import configs.fake_batch
from configs.fake_batch import SEQUENCES
from configs.presets import DEBUG
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2, TEXT

SHRUNK = replace(
    DEBUG,
    model=replace(DEBUG.model, text_width=12),
    sources=(SENTINEL2, LANDSAT, SENTINEL1, GLO30, NLCD, TEXT),
)
BATCH = SEQUENCES
random_frames = partial(configs.fake_batch.random_frames, SHRUNK)
