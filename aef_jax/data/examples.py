"""One training example out of a site: every random choice of a step is made here, on the host, from a generator.

An example is a `Batch` of one sequence without its batch axis. What the paper leaves open is ours: periods are drawn
log-uniformly in length, so that days are asked for as often as seasons; targets come from frames that show some ground.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from aef_jax.data.site import Period, Series, Site
from configs.batch import Batch, Frames, Target
from configs.run import Config
from configs.source import Source
from configs.timecode import DAY_MS, period_code, relative_timecode, timecode


@dataclass(frozen=True)
class Place:
    """Which tile of a site, and which support period."""

    row: int
    column: int
    support: Period


def draw_place(site: Site, config: Config, rng: np.random.Generator) -> Place:
    """A tile anywhere in the site, and a support period anywhere in the years that its inputs cover."""
    side, (height, width) = config.data.tile_side, site.shape
    if min(height, width) < side:
        raise ValueError(f"site {site.name}: {height} x {width} pixels, expected at least one tile of {side} x {side}")
    seen = [site.series[source.name].time_ms for source in config.input_sources if source.name in site.series]
    if not any(map(len, seen)):
        raise ValueError(f"site {site.name}: it has no frame of an input source, expected at least one")
    first, last = (int(end(times[i] for times in seen if len(times))) for i, end in ((0, min), (-1, max)))
    length = config.data.support_days * DAY_MS
    start = int(rng.integers(first, max(first, last - length) + 1))
    return Place(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), (start, start + length))


def draw_example(
    site: Site, config: Config, place: Place, rng: np.random.Generator, target_ms: dict[str, int] | None = None
) -> Batch:
    """The example of a (scaled, z-scored) site at a place. Same arguments, same example, bit for bit.

    `target_ms` fixes the acquisition times of the targets, for evaluation; otherwise they are drawn.
    """
    side = config.data.tile_side
    tile = site.window(slice(place.row, place.row + side), slice(place.column, place.column + side))
    shared, kept_ms = _draw_student(place.support, config, rng)
    frames, student, targets = {}, {}, {}
    for source in config.decoded_sources:
        if source.name not in tile.series:
            continue
        series = tile.series[source.name]
        if source.timed:  # what is static was there all the time, whatever its date
            series = series.between(*place.support)
        chosen = _choose_target(source, series, config, rng, (target_ms or {}).get(source.name))
        targets[source.name] = _target(source, series, chosen, place.support, config, rng)
        if source.is_input:
            inputs = np.delete(np.arange(len(series.time_ms)), [] if chosen is None else chosen)
            frames[source.name], times = _frames(source, series, inputs, rng)
            student[source.name] = _student_present(source, frames[source.name].present, times, kept_ms, rng)
    return Batch(frames, student, targets, _code(shared))


def draw_period(bounds: Period, config: Config, rng: np.random.Generator, containing: int | None = None) -> Period:
    """A valid period within `bounds`, at least `least_period_days` long, that contains a given time."""
    least, most = config.data.least_period_days * DAY_MS, bounds[1] - bounds[0]
    length = int(np.exp(rng.uniform(np.log(least), np.log(most))))
    low, high = bounds[0], bounds[1] - length
    if containing is not None:
        low, high = max(low, containing - length + 1), min(high, containing)
    start = int(rng.integers(low, high + 1))
    return start, start + length


def _draw_student(support: Period, config: Config, rng: np.random.Generator) -> tuple[Period, Period | None]:
    """The period that teacher and student share, and the half of the year that the student sees (None: all of it).

    (a) frames dropped at random; (b) the latter half dropped: forecast; (c) the former half dropped: backcast.
    """
    middle = (support[0] + support[1]) // 2
    halves = (support[0], middle), (middle, support[1])
    match rng.integers(3):
        case 0:
            return draw_period(support, config, rng), None
        case 1:
            return draw_period(halves[1], config, rng), halves[0]
        case _:
            return draw_period(halves[0], config, rng), halves[1]


def _choose_target(
    source: Source, series: Series, config: Config, rng: np.random.Generator, time_ms: int | None
) -> int | None:
    """Index of the frame to reconstruct, among those that show enough; None where none does."""
    if time_ms is not None:
        return int(np.flatnonzero(series.time_ms == time_ms)[0])
    share = series.valid.mean(axis=(1, 2, 3))
    # what is only a target may be as sparse as a lidar's shots
    least = config.data.least_target_fraction if source.is_input else 0
    shown = np.flatnonzero((share > 0) & (share >= least))
    return int(rng.choice(shown)) if len(shown) else None


def _target(
    source: Source, series: Series, chosen: int | None, support: Period, config: Config, rng: np.random.Generator
) -> Target:
    """The target of one source; where there is none, one that has no valid pixel."""
    grid_offset = rng.integers(max(1, round(source.regrid_m / 10)), size=2).astype(np.int32)
    if chosen is None:
        empty = Series(*(np.zeros((1, *array.shape[1:]), array.dtype) for array in _arrays(series)))
        series, chosen = empty, 0
        time_ms = support[0]
    else:
        time_ms = int(series.time_ms[chosen])
    # a static map is dated like its first frame, which need not lie in the support period
    contained = min(max(time_ms, support[0]), support[1] - 1)
    period = draw_period(support, config, rng, containing=contained)
    pixels, valid = series.pixels[chosen], series.valid[chosen]
    if source.kind == "classes":
        pixels, valid = pixels[..., 0].astype(np.int32), valid[..., 0]
    metadata = series.metadata[chosen].astype(np.float32)
    return Target(pixels, valid, *summary_codes(source, period, contained), metadata, grid_offset)


def summary_codes(
    source: Source, period: Period, time_ms: int
) -> tuple[Float32[np.ndarray, "2K"], Float32[np.ndarray, "R"]]:
    """What a target says of its times: the code of its summary period, and of its acquisition within that period."""
    fraction = (time_ms - period[0]) / (period[1] - period[0])
    when = relative_timecode(np.asarray(fraction)) if source.timed else np.zeros(0)
    return _code(period), when.astype(np.float32)


def _frames(
    source: Source, series: Series, inputs: Int[np.ndarray, "n"], rng: np.random.Generator
) -> tuple[Frames, Int[np.ndarray, "N"]]:
    """Input frames in the order of their times, sub-sampled to the frame budget or padded to it with absent ones."""
    budget = source.frame_budget
    if len(inputs) > budget:
        inputs = np.sort(rng.choice(inputs, budget, replace=False))
    pixels = np.zeros((budget, *series.pixels.shape[1:]), np.float32)
    times = np.zeros(budget, np.int64)
    pixels[: len(inputs)], times[: len(inputs)] = series.pixels[inputs], series.time_ms[inputs]
    present = np.arange(budget) < len(inputs)
    return Frames(pixels, timecode(times).astype(np.float32), present), times


def _student_present(
    source: Source,
    present: Bool[np.ndarray, "N"],
    times: Int[np.ndarray, "N"],
    kept_ms: Period | None,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "N"]:
    """The frames that the student sees: its half of the year, or a random share; or nothing of a dropped source."""
    dropped = rng.random() < source.source_drop
    kept = rng.random(len(times)) >= source.frame_drop
    if kept_ms is not None:
        kept = (times >= kept_ms[0]) & (times < kept_ms[1])
    return present & kept & (not dropped)


def _code(period: Period) -> Float32[np.ndarray, "2K"]:
    code: Float[np.ndarray, "2K"] = period_code(np.asarray(period[0], np.int64), np.asarray(period[1], np.int64))
    return code.astype(np.float32)


def _arrays(series: Series):
    return series.pixels, series.valid, series.time_ms, series.metadata
