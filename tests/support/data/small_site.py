"""A site of noise that several sensors saw over three years, small enough for tests."""

from dataclasses import replace

import grain
import numpy as np

from aef_jax.data.loading.pipeline import HostExamples, training_batches
from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.data.store.site import Series, Site, TextPoints
from aef_jax.data.store.statistics import normalization_of
from configs.config import Config
from configs.data import DataConfig
from configs.encodings.timecode import DAY_MS
from configs.presets import TINY
from configs.source import Source
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2, TEXT

START_MS = int(np.datetime64("2016-01-01", "ms").astype(np.int64))
DAYS = 3 * 365
SIDE = 24
EVERY_DAYS = {"sentinel2": 9, "landsat": 16, "sentinel1": 12}
TEXT_WIDTH = 8
TEXT_POINTS = 12

CONFIG: Config = replace(
    TINY,
    sources=(
        replace(SENTINEL2, frame_budget=12),
        replace(LANDSAT, frame_budget=30),
        replace(SENTINEL1, frame_budget=10),
        GLO30,
        NLCD,
        TEXT,
    ),
    model=replace(TINY.model, text_width=TEXT_WIDTH),
    data=DataConfig(tile_side=16, teacher_frame_dropout=False),
)


def small_site(seed: int = 0, name: str = "small") -> Site:
    """Make a site as stored: Sentinel-2 as integers with one mask for all bands, the rest as float32.

    The elevation has the earliest date, the land cover is of the second summer, and texts are true of half-years.
    """
    generator = np.random.default_rng(seed)
    series = {}
    for source in CONFIG.decoded_sources:
        if source.is_input:
            days = np.arange(generator.integers(3), DAYS, EVERY_DAYS[source.name])
        else:
            days = np.array([550 if source.timed else -2_000])
        series[source.name] = _series(source, START_MS + days * DAY_MS, generator)
    return Site(name, series, "EPSG:32631", (10, 0, 500_000, 0, -10, 5_600_000), text=_text(generator))


def schema_of(config: Config = CONFIG, site: Site | None = None) -> DatasetSchema:
    """Return the schema of a training set of one site, by default `small_site`."""
    site = site or small_site()
    sources = tuple(source for source in config.sources if source.name in site.series)
    return DatasetSchema(sources, normalization_of([site], sources), TEXT_WIDTH if config.has_text else 0)


def small_stream(config: Config = CONFIG, site: Site | None = None) -> grain.DatasetIterator:
    """Iterate over training batches of one site, by default `small_site`."""
    site = site or small_site()
    return training_batches(HostExamples([site], schema_of(config, site), config))


def _series(source: Source, time_ms: np.ndarray, generator: np.random.Generator) -> Series:
    shape = (len(time_ms), SIDE, SIDE, source.channels)
    cloudy = generator.random(len(time_ms)) < 0.3 if source.is_input else np.zeros(len(time_ms), bool)
    seen = (*shape[:3], 1) if source.name == "sentinel2" else shape
    valid = (generator.random(seen) < 0.9) & ~cloudy[:, None, None, None]
    facts = [
        generator.uniform(0, 360, len(time_ms)) if fact.kind == "angle" else generator.integers(2, size=len(time_ms))
        for fact in source.metadata
    ]
    metadata = np.stack(facts, axis=-1) if facts else np.zeros((len(time_ms), 0))
    pixels = _pixels(source, shape, generator)
    no_data = 0 if source.name == "sentinel2" else None
    return Series(pixels, valid, time_ms.astype(np.int64), metadata.astype(np.float64), no_data)


MEAN_AND_DEVIATION = {"decibel": (-12, 3), "degrees": (38, 2), "metres": (400, 90), "kelvin": (290, 5)}
"""By unit; bands of other units are small numbers around 0.3."""


def _pixels(source: Source, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if source.kind == "classes":
        return generator.integers(source.classes, size=shape).astype(np.uint8)
    if source.name == "sentinel2":
        return np.exp(generator.normal(7, 0.5, shape)).astype(np.uint16)
    mean, deviation = np.transpose([MEAN_AND_DEVIATION.get(band.unit, (0.3, 0.05)) for band in source.bands])
    return generator.normal(mean, deviation, shape).astype(np.float32)


def _text(generator: np.random.Generator) -> TextPoints:
    row, column = generator.integers(SIDE, size=(2, TEXT_POINTS))
    start = START_MS + generator.integers(DAYS - 180, size=TEXT_POINTS) * DAY_MS
    sentence = generator.standard_normal((TEXT_POINTS, TEXT_WIDTH)).astype(np.float32)
    return TextPoints(row, column, np.stack([start, start + 180 * DAY_MS], axis=-1), sentence)
