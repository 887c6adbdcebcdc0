"""Validation examples: the same frames with the same draws at every evaluation, and the forecast to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, SupportsIndex

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int64, Integer

from aef_jax.data.sampling.examples import DatasetSchema, TileLocation, draw_example, draw_location
from aef_jax.data.sampling.targets import encode_period, summary_codes
from aef_jax.data.store.site import SAME_PASS_MS, Period, Series, Site
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.source import Source

PERIOD_DAYS = 10
"""Length of the valid period of a validation target, which is acquired in its middle."""


class ValidationExample(NamedTuple):
    """An example with a fixed target, and the persistence forecast of that target.

    The other baseline, the per-band mean of the training frames, is 0 everywhere after the z-score.
    """

    batch: Batch
    persistence: Float32[np.ndarray, "H W C"]
    time_ms: int
    """Acquisition of the target, in epoch milliseconds."""
    labels: Mapping[str, Integer[np.ndarray, "H W"]]
    """Maps of classes for linear probes, by name. The model never sees them."""

    def without_frames(self) -> "ValidationExample":
        """Drop the frames.

        Returns:
            The example with absent frames of the same shapes, which take no memory.
        """
        absent = jax.tree.map(lambda x: np.broadcast_to(np.zeros((), x.dtype), x.shape), self.batch.frames)
        return self._replace(batch=self.batch._replace(frames=absent))


class ExampleSeed(NamedTuple):
    """What determines the example of a site."""

    site: int
    """Index of the site."""
    location: TileLocation
    frame: int
    """Index of the target among the frames of the evaluated source."""
    seed: list[int]


@dataclass(frozen=True)
class ValidationExamples(Sequence[ValidationExample]):
    """One example of each of several sites, drawn when it is indexed, and the same each time.

    No example is kept here: `Evaluator` iterates once and keeps its own. Drawing them again at every evaluation
    would be slow: a site of `paper` is tens of megabytes, and scaling the Sentinel-2 of one tile's year took 0.3 s.
    """

    sites: Sequence[Site]
    schema: DatasetSchema
    config: Config
    seeds: list[ExampleSeed]
    decoded: dict[int, Site] = field(default_factory=dict)
    """Sites, by index, that were decoded to find their example. Each is kept until its example is drawn for the first
    time, so that no record is decoded twice when a run starts."""

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: SupportsIndex) -> ValidationExample:  # pyright: ignore[reportIncompatibleMethodOverride]
        number, location, frame, seed = self.seeds[index]
        site = self.site(number)
        self.decoded.pop(number, None)
        tile = _tile(site, location.row, location.column, evaluated_source(self.schema), self.schema, self.config)
        return _example(site, tile, self.schema, location, frame, self.config, seed)

    def site(self, index: int) -> Site:
        """Return a site, decoding it only if that has not been done.

        Args:
            index: of the site, not of an example.

        Returns:
            The site as stored.
        """
        return self.decoded[index] if index in self.decoded else self.sites[index]


def validation_examples(
    site: Site, schema: DatasetSchema, times_ms: Int64[np.ndarray, "M"], config: Config
) -> list[ValidationExample]:
    """Make an example of each frame of the evaluated source at some times, for every tile of a site.

    Tiles do not overlap. The support period is centered on the target as far as the site's years allow. All other
    frames are inputs, as at inference.

    Args:
        site: as stored.
        schema: sources and statistics of the training set.
        times_ms: acquisition times of the targets.
        config: gives the tile's side, the support period's length and `data.min_target_fraction`.

    Returns:
        The examples, by tile and time.

    Raises:
        ValueError: no frame has enough valid pixels.
    """
    source, side = evaluated_source(schema), config.data.tile_side
    schema = _with_budgets(_max_frames(site, schema, config), schema)
    examples = []
    for row in _origins(site.shape[0], side):
        for column in _origins(site.shape[1], side):
            tile = _tile(site, row, column, source, schema, config)
            for index in np.flatnonzero(_is_clear(tile, config) & np.isin(tile.time_ms, times_ms)):
                location = TileLocation(row, column, _support(tile, int(tile.time_ms[index]), config))
                examples.append(_example(site, tile, schema, location, int(index), config, [row, column, int(index)]))
    if not examples:
        raise ValueError(
            f"site {site.name}, source {source.name}: no validation frame has a fraction of valid pixels of at least"
            f" {config.data.min_target_fraction}"
        )
    return examples


def validation_example_of_each(sites: Sequence[Site], schema: DatasetSchema, config: Config) -> ValidationExamples:
    """Choose one example of each of up to `training.validation_sites` sites: a frame of the evaluated source.

    A site without a frame of enough valid pixels has none.

    Args:
        sites: as stored. Each is decoded once here, and kept until its example is drawn.
        schema: sources and statistics of the training set.
        config: gives the tile's side, the support period's length and `data.min_target_fraction`.

    Returns:
        The examples, drawn when they are indexed.

    Raises:
        ValueError: no site has a frame of enough valid pixels.
    """
    source = evaluated_source(schema)
    indices = np.linspace(0, len(sites) - 1, min(len(sites), config.training.validation_sites)).astype(int).tolist()
    seeds, decoded, budgets = [], {}, {source.name: 1 for source in schema.input_sources}
    for number, index in enumerate(indices):
        site = sites[index]
        budgets |= {name: max(budgets[name], count) for name, count in _max_frames(site, schema, config).items()}
        if source.name not in site.series:
            continue
        location = draw_location(site, config, np.random.default_rng([number]))
        tile = _tile(site, location.row, location.column, source, schema, config)
        is_in_support = (tile.time_ms >= location.support[0]) & (tile.time_ms < location.support[1])
        frames = np.flatnonzero(_is_clear(tile, config) & is_in_support)
        if len(frames):
            frame = int(np.random.default_rng([number, 1]).choice(frames))
            seeds.append(ExampleSeed(index, location, frame, [number, 2]))
            decoded[index] = site
    if not seeds:
        raise ValueError(
            f"source {source.name}: no frame of the {len(indices)} validation sites has a fraction of valid pixels of"
            f" at least {config.data.min_target_fraction}"
        )
    return ValidationExamples(sites, _with_budgets(budgets, schema), config, seeds, decoded)


def evaluated_source(schema: DatasetSchema) -> Source:
    """Return the source whose reconstruction is compared with forecasts.

    Args:
        schema: sources of the training set.

    Returns:
        The first input that the data hold.
    """
    return schema.input_sources[0]


def persistence(series: Series, target_ms: int) -> Float32[np.ndarray, "H W C"]:
    """Forecast each pixel as in the valid frame nearest in time to the target.

    Args:
        series: z-scored frames. Those of the target's pass are left out.
        target_ms: acquisition of the target, in epoch milliseconds.

    Returns:
        The forecast; 0 if no frame of a pixel is valid.
    """
    distance = np.abs(series.time_ms - target_ms)
    nearest_first = np.argsort(distance, kind="stable")
    nearest_first = nearest_first[distance[nearest_first] > SAME_PASS_MS]
    forecast = np.zeros(series.pixels.shape[1:], np.float32)
    for index in nearest_first[::-1]:
        forecast = np.where(series.valid[index], series.pixels[index], forecast)
    return forecast


def _example(
    site: Site, tile: Series, schema: DatasetSchema, location: TileLocation, index: int, config: Config, seed: list[int]
) -> ValidationExample:
    """Draw the example whose target is frame `index` of a tile."""
    source, time_ms, side = evaluated_source(schema), int(tile.time_ms[index]), config.data.tile_side
    batch = draw_example(site, schema, config, location, np.random.default_rng(seed), {source.name: time_ms})
    forecast = persistence(tile.between(*location.support), time_ms)
    batch = _around_target(batch, source, time_ms)._replace(shared_period=encode_period(location.support))
    tile_of_map = np.s_[location.row : location.row + side, location.column : location.column + side]
    # copies: a view would keep the whole record in memory
    labels = {name: classes[tile_of_map].copy() for name, classes in site.labels.items()}
    return ValidationExample(batch, forecast, time_ms, labels)


def _tile(site: Site, row: int, column: int, source: Source, schema: DatasetSchema, config: Config) -> Series:
    """Return the z-scored frames of one tile."""
    side = config.data.tile_side
    stored = site.series[source.name].window(slice(row, row + side), slice(column, column + side))
    return schema.normalization.z_score(stored, source)


def _is_clear(tile: Series, config: Config) -> Bool[np.ndarray, "N"]:
    return tile.valid.mean(axis=(1, 2, 3)) >= config.data.min_target_fraction


def _around_target(batch: Batch, source: Source, time_ms: int) -> Batch:
    """Set the target's valid period to the days around it: the same question that persistence answers."""
    start = time_ms - PERIOD_DAYS * DAY_MS // 2
    code, time_code = summary_codes(source, (start, start + PERIOD_DAYS * DAY_MS), time_ms)
    target = batch.targets[source.name]._replace(period=code, time_code=time_code)
    return batch._replace(targets={**batch.targets, source.name: target})


def _max_frames(site: Site, schema: DatasetSchema, config: Config) -> dict[str, int]:
    """Return the largest number of frames in any support period, by input source; at least 1."""
    length = site.support[1] - site.support[0] if site.support else config.data.support_days * DAY_MS
    counts = {}
    for source in schema.input_sources:
        times = site.series[source.name].time_ms if source.name in site.series else np.zeros(0, np.int64)
        frames = np.searchsorted(times, times + length) - np.arange(len(times))
        counts[source.name] = max([1, *frames.tolist()])
    return counts


def _with_budgets(budgets: dict[str, int], schema: DatasetSchema) -> DatasetSchema:
    """Set frame budgets that hold every frame of any support period."""
    sources = (replace(s, frame_budget=budgets[s.name]) if s.is_input else s for s in schema.sources)
    return replace(schema, sources=tuple(sources))


def _origins(length: int, side: int) -> range:
    return range(0, length - side + 1, side)


def _support(series: Series, time_ms: int, config: Config) -> Period:
    length = config.data.support_days * DAY_MS
    latest = max(int(series.time_ms[0]), int(series.time_ms[-1]) + 1 - length)
    start = min(max(time_ms - length // 2, int(series.time_ms[0])), latest)
    return start, start + length
