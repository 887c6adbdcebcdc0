"""Held-out examples: each clear frame of each tile once, always with the same draws; and what is to be beaten there."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from aef_jax.data.examples import Place, draw_example, summary_codes
from aef_jax.data.site import Series, Site
from configs.batch import Batch
from configs.run import Config
from configs.source import Source
from configs.timecode import DAY_MS

PERIOD_DAYS = 10
"""Length of the valid period of a held-out target, which lies in its middle."""


class HeldoutExample(NamedTuple):
    """An example whose target's time is fixed, and the persistence forecast of that target.

    The other baseline, the per-band mean of the training frames, is 0 everywhere after the z-score.
    """

    batch: Batch
    persistence: Float32[np.ndarray, "H W C"]
    time_ms: int


def heldout_examples(
    site: Site, source: Source, times_ms: Int64[np.ndarray, "M"], config: Config
) -> list[HeldoutExample]:
    """The frames of `source` at `times_ms` that show enough of a tile, for every tile that fits without overlap.

    The support period is centred on the target as far as the site's years allow; all its other frames are inputs, as
    at inference. Raises ValueError where no frame shows enough.
    """
    side, config = config.data.tile_side, _with_all_frames(site, config)
    examples = []
    for row in _origins(site.shape[0], side):
        for column in _origins(site.shape[1], side):
            tile = site.series[source.name].window(slice(row, row + side), slice(column, column + side))
            shown = tile.valid.mean(axis=(1, 2, 3)) >= config.data.least_target_fraction
            for index in np.flatnonzero(shown & np.isin(tile.time_ms, times_ms)):
                time_ms = int(tile.time_ms[index])
                place = Place(row, column, _support(tile, time_ms, config))
                rng = np.random.default_rng([row, column, int(index)])
                batch = _around_target(draw_example(site, config, place, rng, {source.name: time_ms}), source, time_ms)
                examples.append(HeldoutExample(batch, persistence(tile.between(*place.support), time_ms), time_ms))
    if not examples:
        raise ValueError(
            f"site {site.name}, source {source.name}: no held-out frame has a share of valid pixels of at least"
            f" {config.data.least_target_fraction}"
        )
    return examples


def persistence(series: Series, target_ms: int) -> Float32[np.ndarray, "H W C"]:
    """Each pixel as in the valid frame nearest in time to the target, the target itself left out; 0 where none is."""
    distance = np.abs(series.time_ms - target_ms)
    nearest_first = np.argsort(distance, kind="stable")
    nearest_first = nearest_first[distance[nearest_first] > 0]
    forecast = np.zeros(series.pixels.shape[1:], np.float32)
    for index in nearest_first[::-1]:
        forecast = np.where(series.valid[index], series.pixels[index], forecast)
    return forecast


def _around_target(batch: Batch, source: Source, time_ms: int) -> Batch:
    """The target asked for from the days around it: what persistence answers too, and the same in each evaluation."""
    start = time_ms - PERIOD_DAYS * DAY_MS // 2
    code, when = summary_codes(source, (start, start + PERIOD_DAYS * DAY_MS), time_ms)
    target = batch.targets[source.name]._replace(period=code, when=when)
    return batch._replace(targets={**batch.targets, source.name: target})


def _with_all_frames(site: Site, config: Config) -> Config:
    """Frame budgets that hold every frame of any support period."""
    length = config.data.support_days * DAY_MS
    budgets = {}
    for name, series in site.series.items():
        budgets[name] = int(
            (np.searchsorted(series.time_ms, series.time_ms + length) - np.arange(len(series.time_ms))).max()
        )
    sources = tuple(replace(s, frame_budget=budgets[s.name]) if s.name in budgets else s for s in config.sources)
    return replace(config, sources=sources)


def _origins(length: int, side: int) -> range:
    return range(0, length - side + 1, side)


def _support(series: Series, time_ms: int, config: Config) -> tuple[int, int]:
    length = config.data.support_days * DAY_MS
    latest = max(int(series.time_ms[0]), int(series.time_ms[-1]) + 1 - length)
    start = min(max(time_ms - length // 2, int(series.time_ms[0])), latest)
    return start, start + length
