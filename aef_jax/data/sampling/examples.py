"""One training example out of a site: every random choice of a step is made here, on the host, from a generator.

An example is a `Batch` of one sequence without its batch axis. What the paper leaves open is ours, as that targets come
from frames that show some ground.
"""

from dataclasses import dataclass, replace

import numpy as np

from aef_jax.data.sampling.inputs import DrawnFrames, draw_frames, draw_student, no_frames
from aef_jax.data.sampling.targets import choose_target, draw_period, encode_period, make_target, no_target
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Period, Series, Site
from configs.batch import Batch, Text
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.source import Source


@dataclass(frozen=True)
class DatasetSchema:
    """What a training set holds, and so every example of it: a site that lacks a source has absent frames of it."""

    sources: tuple[Source, ...]
    """Those of the config that are in the data, in the config's order."""
    normalization: Normalization
    text_width: int = 0
    """Numbers in a sentence embedding; 0 where there is no text."""

    @property
    def input_sources(self) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.is_input)


@dataclass(frozen=True)
class TileLocation:
    """Which tile of a site, and which support period."""

    row: int
    column: int
    support: Period


@dataclass(frozen=True)
class SampleTrace:
    """What was drawn for an example, as it was drawn: of most times, the batch holds no more than a code.

    Frames are told by their index among those of the support period (`within`); a source without any is left out.
    """

    tile: Site
    """The ground of the example, as it is stored."""
    location: TileLocation
    shared: Period
    """Valid period over which teacher and student are compared."""
    kept: Period | None
    """The half of the support period that the student sees; None: all of it."""
    periods: dict[str, Period]
    """Each source's own summary period."""
    targets: dict[str, int]
    """The frame that is reconstructed; a source that shows too little has none."""
    inputs: dict[str, DrawnFrames]
    text: int | None
    """Which of the tile's text points."""


def draw_location(site: Site, config: Config, rng: np.random.Generator) -> TileLocation:
    """A tile anywhere in the site; and its support period, or one anywhere in the years that its inputs cover.

    Raises ValueError, naming the site, where it is too small, its support period too short, or it has no input.
    """
    side, (height, width) = config.data.tile_side, site.shape
    if min(height, width) < side:
        raise ValueError(f"site {site.name}: {height} x {width} pixels, expected at least one tile of {side} x {side}")
    support = site.support or _draw_support(site, config, rng)
    if support[1] - support[0] < 2 * config.data.min_period_days * DAY_MS:
        raise ValueError(
            f"site {site.name}: its support period has {(support[1] - support[0]) / DAY_MS:g} days, expected at least"
            f" {2 * config.data.min_period_days}, as each half must hold a valid period"
        )
    return TileLocation(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), support)


def draw_example(
    site: Site,
    schema: DatasetSchema,
    config: Config,
    location: TileLocation,
    rng: np.random.Generator,
    target_ms: dict[str, int] | None = None,
) -> Batch:
    """The example of a site, as it is stored, at a place. Same arguments, same example, bit for bit.

    `target_ms` fixes the acquisition times of targets, for evaluation, where the teacher sees all the other frames, and
    all of them whole; otherwise they are drawn.
    """
    return draw_with_trace(site, schema, config, location, rng, target_ms)[0]


def draw_with_trace(
    site: Site,
    schema: DatasetSchema,
    config: Config,
    location: TileLocation,
    rng: np.random.Generator,
    target_ms: dict[str, int] | None = None,
) -> tuple[Batch, SampleTrace]:
    """The example that `draw_example` gives, and what was drawn for it."""
    side = config.data.tile_side
    tile = site.window(slice(location.row, location.row + side), slice(location.column, location.column + side))
    shared, kept = _draw_perturbation(location.support, config, rng)
    drawn = SampleTrace(tile, location, shared, kept, periods={}, targets={}, inputs={}, text=None)
    training = target_ms is None
    dropout = config.data.teacher_frame_dropout and training
    frames, student, targets = {}, {}, {}
    for source in schema.sources:
        name, series = source.name, frames_in_period(source, tile, location.support)
        chosen = None
        if series is not None:
            fixed = (target_ms or {}).get(name)
            chosen = choose_target(source, series, config, rng) if fixed is None else _at(series, fixed)
        if series is None or chosen is None:
            made = no_target(source, side, location.support, config, rng)
        else:
            made = make_target(source, series, chosen, schema.normalization, location.support, config, rng)
            drawn.targets[name] = chosen
        targets[name], drawn.periods[name] = made
        if not source.is_input:
            continue
        if series is None:
            frames[name], student[name] = no_frames(source, side)
        else:
            teacher = draw_frames(source, series, chosen, schema.normalization, rng, dropout, gaps=training)
            student[name] = draw_student(source, teacher.frames.present, teacher.times, kept, rng)
            frames[name], drawn.inputs[name] = teacher.frames, teacher
    text, point = _draw_text(tile, schema.text_width, location.support, rng) if schema.text_width else (None, None)
    return Batch(frames, student, targets, encode_period(shared), text), replace(drawn, text=point)


def frames_in_period(source: Source, tile: Site, support: Period) -> Series | None:
    """The source's frames of the support period; what is static was there all the time, whatever its date."""
    series = tile.series.get(source.name)
    return series.between(*support) if series is not None and source.timed else series


def _draw_support(site: Site, config: Config, rng: np.random.Generator) -> Period:
    seen = [site.series[source.name].time_ms for source in config.input_sources if source.name in site.series]
    if not any(map(len, seen)):
        raise ValueError(f"site {site.name}: it has no frame of an input source, expected at least one")
    first, last = (int(end(times[i] for times in seen if len(times))) for i, end in ((0, min), (-1, max)))
    length = config.data.support_days * DAY_MS
    start = int(rng.integers(first, max(first, last + 1 - length) + 1))  # the period's end is not inside
    return start, start + length


def _draw_perturbation(support: Period, config: Config, rng: np.random.Generator) -> tuple[Period, Period | None]:
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


def _at(series: Series, time_ms: int) -> int:
    """The frame that was acquired then; of several, as an overpass is cut into scenes, the one that shows most."""
    same = np.flatnonzero(series.time_ms == time_ms)
    return int(same[np.argmax(series.valid[same].mean(axis=(1, 2, 3)))])


def _draw_text(tile: Site, width: int, support: Period, rng: np.random.Generator) -> tuple[Text, int | None]:
    """One of the tile's text points that are true of some of the support period, and which; absent where none is."""
    start, end = tile.text.period_ms.T
    points = np.flatnonzero((start < support[1]) & (end > support[0]))
    if len(points) and tile.text.sentence.shape[1] != width:
        raise ValueError(
            f"site {tile.name}: sentence embeddings of {tile.text.sentence.shape[1]} numbers, expected {width}"
        )
    if not len(points):
        absent = np.zeros(width, np.float32), np.zeros(2, np.int32), encode_period(support)
        return Text(*absent, present=np.asarray(False)), None
    point = int(rng.choice(points))
    pixel = np.array([tile.text.row[point], tile.text.column[point]], np.int32)
    period = encode_period((int(start[point]), int(end[point])))
    return Text(tile.text.sentence[point].astype(np.float32), pixel, period, present=np.asarray(True)), point
