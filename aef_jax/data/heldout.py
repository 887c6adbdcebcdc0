"""Held-out examples: each clear frame of each tile once, always with the same draws; and what is to be beaten there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from aef_jax.data.examples import Holdings, Place, draw_example, draw_place
from aef_jax.data.site import SAME_PASS_MS, Series, Site
from aef_jax.data.targets import code_of, summary_codes
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
    labels: UInt8[np.ndarray, "H W"] | None = None
    """A map of what is there, for a probe; the model never sees it."""


def heldout_examples(
    site: Site, held: Holdings, times_ms: Int64[np.ndarray, "M"], config: Config
) -> list[HeldoutExample]:
    """The evaluated source's frames at `times_ms` that show enough of a tile, for every tile that fits without overlap.

    The support period is centred on the target as far as the site's years allow; all its other frames are inputs, as
    at inference. Raises ValueError where no frame shows enough.
    """
    source, side = evaluated_source(held), config.data.tile_side
    held = _with_all_frames([site], held, config)
    examples = []
    for row in _origins(site.shape[0], side):
        for column in _origins(site.shape[1], side):
            tile = _tile(site, row, column, side, source, held)
            for index in np.flatnonzero(_shown(tile, config) & np.isin(tile.time_ms, times_ms)):
                place = Place(row, column, _support(tile, int(tile.time_ms[index]), config))
                examples.append(_example(site, tile, held, place, int(index), config, [row, column, int(index)]))
    if not examples:
        raise ValueError(
            f"site {site.name}, source {source.name}: no held-out frame has a share of valid pixels of at least"
            f" {config.data.least_target_fraction}"
        )
    return examples


def heldout_of_each(sites: Sequence[Site], held: Holdings, config: Config) -> list[HeldoutExample]:
    """One example of each of up to `training.heldout_sites` sites: a frame of the evaluated source, drawn once for all.

    A site where no frame shows enough has none. Raises ValueError where that is so of all of them.
    """
    source, side = evaluated_source(held), config.data.tile_side
    indices = np.linspace(0, len(sites) - 1, min(len(sites), config.training.heldout_sites)).astype(int).tolist()
    # read twice rather than kept: a site may be tens of megabytes
    held = _with_all_frames((sites[index] for index in indices), held, config)
    examples = []
    for number, site in enumerate(sites[index] for index in indices):
        if source.name not in site.series:
            continue
        place = draw_place(site, config, np.random.default_rng([number]))
        tile = _tile(site, place.row, place.column, side, source, held)
        within = (tile.time_ms >= place.support[0]) & (tile.time_ms < place.support[1])
        shown = np.flatnonzero(_shown(tile, config) & within)
        if len(shown):
            index = int(np.random.default_rng([number, 1]).choice(shown))
            examples.append(_example(site, tile, held, place, index, config, [number, 2]))
    if not examples:
        raise ValueError(
            f"source {source.name}: no frame of the {len(indices)} held-out sites has a share of valid pixels of at"
            f" least {config.data.least_target_fraction}"
        )
    return examples


def evaluated_source(held: Holdings) -> Source:
    """The source that is compared with forecasts: the first input that the data hold."""
    return held.input_sources[0]


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
    site: Site, tile: Series, held: Holdings, place: Place, index: int, config: Config, seed: list[int]
) -> HeldoutExample:
    """The example whose target is a tile's frame `index`."""
    source, time_ms, side = evaluated_source(held), int(tile.time_ms[index]), config.data.tile_side
    batch = draw_example(site, held, config, place, np.random.default_rng(seed), {source.name: time_ms})
    forecast = persistence(tile.between(*place.support), time_ms)
    batch = _around_target(batch, source, time_ms)._replace(shared_period=code_of(place.support))
    labels = None
    if site.labels is not None:  # a copy: a view would keep the whole record in memory
        labels = site.labels[place.row : place.row + side, place.column : place.column + side].copy()
    return HeldoutExample(batch, forecast, time_ms, labels)


def _tile(site: Site, row: int, column: int, side: int, source: Source, held: Holdings) -> Series:
    """Scaled and z-scored frames of one tile."""
    stored = site.series[source.name].window(slice(row, row + side), slice(column, column + side))
    return held.normalisation.z_score(stored, source)


def _shown(tile: Series, config: Config):
    return tile.valid.mean(axis=(1, 2, 3)) >= config.data.least_target_fraction


def _around_target(batch: Batch, source: Source, time_ms: int) -> Batch:
    """The target asked for from the days around it: what persistence answers too, and the same in each evaluation."""
    start = time_ms - PERIOD_DAYS * DAY_MS // 2
    code, when = summary_codes(source, (start, start + PERIOD_DAYS * DAY_MS), time_ms)
    target = batch.targets[source.name]._replace(period=code, when=when)
    return batch._replace(targets={**batch.targets, source.name: target})


def _with_all_frames(sites: Iterable[Site], held: Holdings, config: Config) -> Holdings:
    """Frame budgets that hold every frame of any support period."""
    budgets = {source.name: 1 for source in held.input_sources}
    for site in sites:
        length = site.support[1] - site.support[0] if site.support else config.data.support_days * DAY_MS
        for name in budgets.keys() & site.series.keys():
            times = site.series[name].time_ms
            within = np.searchsorted(times, times + length) - np.arange(len(times))
            budgets[name] = max([budgets[name], *within.tolist()])
    sources = (replace(s, frame_budget=budgets[s.name]) if s.is_input else s for s in held.sources)
    return replace(held, sources=tuple(sources))


def _origins(length: int, side: int) -> range:
    return range(0, length - side + 1, side)


def _support(series: Series, time_ms: int, config: Config) -> tuple[int, int]:
    length = config.data.support_days * DAY_MS
    latest = max(int(series.time_ms[0]), int(series.time_ms[-1]) + 1 - length)
    start = min(max(time_ms - length // 2, int(series.time_ms[0])), latest)
    return start, start + length
