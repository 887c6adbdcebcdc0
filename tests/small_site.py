"""A site that several sensors saw over three years, made of noise: small enough for tests."""

from dataclasses import replace

import numpy as np

from aef_jax.data.site import Series, Site
from configs.presets import TINY
from configs.run import Config
from configs.source import Source
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2
from configs.timecode import DAY_MS
from configs.training import DataConfig

START_MS = int(np.datetime64("2016-01-01", "ms").astype(np.int64))
DAYS = 3 * 365
SIDE = 24
EVERY_DAYS = {"sentinel2": 9, "landsat": 16, "sentinel1": 12}

CONFIG: Config = replace(
    TINY,
    sources=(
        replace(SENTINEL2, frame_budget=12),
        replace(LANDSAT, frame_budget=30),
        replace(SENTINEL1, frame_budget=10),
        GLO30,
        NLCD,
    ),
    data=DataConfig(tile_side=16),
)


def small_site(seed: int = 0) -> Site:
    """Scaled and z-scored; the elevation is dated before all else, and the land cover is of the second summer."""
    generator = np.random.default_rng(seed)
    series = {}
    for source in CONFIG.sources:
        if source.is_input:
            days = np.arange(generator.integers(3), DAYS, EVERY_DAYS[source.name])
        else:
            days = np.array([550 if source.timed else -2_000])
        series[source.name] = _series(source, START_MS + days * DAY_MS, generator)
    return Site("small", series, "EPSG:32631", (10, 0, 500_000, 0, -10, 5_600_000))


def _series(source: Source, time_ms: np.ndarray, generator: np.random.Generator) -> Series:
    shape = (len(time_ms), SIDE, SIDE, source.channels)
    classes = source.kind == "classes"
    pixels = generator.integers(source.classes, size=shape) if classes else generator.standard_normal(shape)
    cloudy = generator.random(len(time_ms)) < 0.3 if source.is_input else np.zeros(len(time_ms), bool)
    valid = (generator.random(shape) < 0.9) & ~cloudy[:, None, None, None]
    metadata = generator.uniform(-1, 1, (len(time_ms), source.metadata_width))
    return Series(pixels.astype(np.float32), valid, time_ms.astype(np.int64), metadata)
