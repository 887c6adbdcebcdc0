"""Held-out examples: each clear frame of each tile once, always with the same draws; and what is to be beaten there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, SupportsIndex

import jax
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from aef_jax.data.sampling.examples import DatasetSchema, TileLocation, draw_example, draw_location
from aef_jax.data.sampling.targets import encode_period, summary_codes
from aef_jax.data.store.site import SAME_PASS_MS, Series, Site
from configs.batch import Batch
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.source import Source

PERIOD_DAYS = 10
"""Length of the valid period of a held-out target, which lies in its middle."""


class ValidationExample(NamedTuple):
    """An example whose target's time is fixed, and the persistence forecast of that target.

    The other baseline, the per-band mean of the training frames, is 0 everywhere after the z-score.
    """

    batch: Batch
    persistence: Float32[np.ndarray, "H W C"]
    time_ms: int
    labels: UInt8[np.ndarray, "H W"] | None = None
    """A map of what is there, for a probe; the model never sees it."""

    def without_frames(self) -> "ValidationExample":
        """With absent frames in the place of its own, which are of the same shape and take no memory."""
        nothing = jax.tree.map(lambda x: np.broadcast_to(np.zeros((), x.dtype), x.shape), self.batch.frames)
        return self._replace(batch=self.batch._replace(frames=nothing))


class Choice(NamedTuple):
    """What decides an example of a site."""

    site: int
    location: TileLocation
    frame: int
    """The target: which frame of the evaluated source."""
    seed: list[int]


@dataclass(frozen=True)
class ValidationExamples(Sequence[ValidationExample]):
    """One example of each of several sites; drawn whenever it is asked for, and the same each time.

    So nobody has all of them in memory that does not want to: see `Evaluator.needed`, which goes through them once and
    keeps its own. Drawing them anew for every evaluation is no cheap matter: a site of `paper` is tens of megabytes,
    and to scale the Sentinel-2 alone of one tile's year took 0.3 s, for one forward pass of an accelerator.
    """

    sites: Sequence[Site]
    schema: DatasetSchema
    config: Config
    trace: list[Choice]

    def __len__(self) -> int:
        return len(self.trace)

    def __getitem__(self, index: SupportsIndex) -> ValidationExample:  # pyright: ignore[reportIncompatibleMethodOverride]
        number, location, frame, seed = self.trace[index]
        site = self.sites[number]
        tile = _tile(site, location.row, location.column, evaluated_source(self.schema), self.schema, self.config)
        return _example(site, tile, self.schema, location, frame, self.config, seed)


def validation_examples(
    site: Site, schema: DatasetSchema, times_ms: Int64[np.ndarray, "M"], config: Config
) -> list[ValidationExample]:
    """The evaluated source's frames at `times_ms` that show enough of a tile, for every tile that fits without overlap.

    The support period is centred on the target as far as the site's years allow; all its other frames are inputs, as
    at inference. Raises ValueError where no frame shows enough.
    """
    source, side = evaluated_source(schema), config.data.tile_side
    schema = _with_budgets(_most_frames(site, schema, config), schema)
    examples = []
    for row in _origins(site.shape[0], side):
        for column in _origins(site.shape[1], side):
            tile = _tile(site, row, column, source, schema, config)
            for index in np.flatnonzero(_shown(tile, config) & np.isin(tile.time_ms, times_ms)):
                location = TileLocation(row, column, _support(tile, int(tile.time_ms[index]), config))
                examples.append(_example(site, tile, schema, location, int(index), config, [row, column, int(index)]))
    if not examples:
        raise ValueError(
            f"site {site.name}, source {source.name}: no held-out frame has a share of valid pixels of at least"
            f" {config.data.min_target_fraction}"
        )
    return examples


def validation_example_of_each(sites: Sequence[Site], schema: DatasetSchema, config: Config) -> ValidationExamples:
    """One example of each of up to `training.validation_sites` sites: a frame of the evaluated source, drawn once.

    A site where no frame shows enough has none. Raises ValueError where that is so of all of them.
    """
    source = evaluated_source(schema)
    indices = np.linspace(0, len(sites) - 1, min(len(sites), config.training.validation_sites)).astype(int).tolist()
    trace, budgets = [], {source.name: 1 for source in schema.input_sources}
    for number, index in enumerate(indices):
        site = sites[index]
        budgets |= {name: max(budgets[name], most) for name, most in _most_frames(site, schema, config).items()}
        if source.name not in site.series:
            continue
        location = draw_location(site, config, np.random.default_rng([number]))
        tile = _tile(site, location.row, location.column, source, schema, config)
        within = (tile.time_ms >= location.support[0]) & (tile.time_ms < location.support[1])
        shown = np.flatnonzero(_shown(tile, config) & within)
        if len(shown):
            frame = int(np.random.default_rng([number, 1]).choice(shown))
            trace.append(Choice(index, location, frame, [number, 2]))
    if not trace:
        raise ValueError(
            f"source {source.name}: no frame of the {len(indices)} held-out sites has a share of valid pixels of at"
            f" least {config.data.min_target_fraction}"
        )
    return ValidationExamples(sites, _with_budgets(budgets, schema), config, trace)


def evaluated_source(schema: DatasetSchema) -> Source:
    """The source that is compared with forecasts: the first input that the data hold."""
    return schema.input_sources[0]


def persistence(series: Series, target_ms: int) -> Float32[np.ndarray, "H W C"]:
    """Each pixel as in the valid frame nearest in time to the target, but of another pass; 0 where there is none."""
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
    """The example whose target is a tile's frame `index`."""
    source, time_ms, side = evaluated_source(schema), int(tile.time_ms[index]), config.data.tile_side
    batch = draw_example(site, schema, config, location, np.random.default_rng(seed), {source.name: time_ms})
    forecast = persistence(tile.between(*location.support), time_ms)
    batch = _around_target(batch, source, time_ms)._replace(shared_period=encode_period(location.support))
    labels = None
    if site.labels is not None:  # a copy: a view would keep the whole record in memory
        labels = site.labels[location.row : location.row + side, location.column : location.column + side].copy()
    return ValidationExample(batch, forecast, time_ms, labels)


def _tile(site: Site, row: int, column: int, source: Source, schema: DatasetSchema, config: Config) -> Series:
    """Scaled and z-scored frames of one tile."""
    side = config.data.tile_side
    stored = site.series[source.name].window(slice(row, row + side), slice(column, column + side))
    return schema.normalization.z_score(stored, source)


def _shown(tile: Series, config: Config):
    return tile.valid.mean(axis=(1, 2, 3)) >= config.data.min_target_fraction


def _around_target(batch: Batch, source: Source, time_ms: int) -> Batch:
    """The target asked for from the days around it: what persistence answers too, and the same in each evaluation."""
    start = time_ms - PERIOD_DAYS * DAY_MS // 2
    code, time_code = summary_codes(source, (start, start + PERIOD_DAYS * DAY_MS), time_ms)
    target = batch.targets[source.name]._replace(period=code, time_code=time_code)
    return batch._replace(targets={**batch.targets, source.name: target})


def _most_frames(site: Site, schema: DatasetSchema, config: Config) -> dict[str, int]:
    """By input source, how many frames any support period of the site has at most; at least one."""
    length = site.support[1] - site.support[0] if site.support else config.data.support_days * DAY_MS
    most = {}
    for source in schema.input_sources:
        times = site.series[source.name].time_ms if source.name in site.series else np.zeros(0, np.int64)
        within = np.searchsorted(times, times + length) - np.arange(len(times))
        most[source.name] = max([1, *within.tolist()])
    return most


def _with_budgets(budgets: dict[str, int], schema: DatasetSchema) -> DatasetSchema:
    """Frame budgets that hold every frame of any support period."""
    sources = (replace(s, frame_budget=budgets[s.name]) if s.is_input else s for s in schema.sources)
    return replace(schema, sources=tuple(sources))


def _origins(length: int, side: int) -> range:
    return range(0, length - side + 1, side)


def _support(series: Series, time_ms: int, config: Config) -> tuple[int, int]:
    length = config.data.support_days * DAY_MS
    latest = max(int(series.time_ms[0]), int(series.time_ms[-1]) + 1 - length)
    start = min(max(time_ms - length // 2, int(series.time_ms[0])), latest)
    return start, start + length
